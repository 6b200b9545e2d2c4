"""Figure of the probes of all phases: does a phase help, task by task?"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import plotly.graph_objects as go

from eegfm.plots.finetuning.models import colour
from eegfm.plots.finetuning.sections import Panel, Section, figure_of
from eegfm.plots.text import plain, spelled


def phases_figure(compared: Mapping[str, Mapping[str, Any]]) -> go.Figure:
    """Return the score of each phase with its interval, one panel per task.

    Above each later phase stands its mean difference to the phase before, over the same persons.

    Args:
        compared: See ``eegfm.evaluation.phases.compare_phases``.
    """
    return figure_of([_section(task, found) for task, found in compared.items()], n_columns=1, panel_px=300)


def _section(task: str, found: Mapping[str, Any]) -> Section:
    if "differs" in found:
        return Section(f"{plain(task)}: {plain(found['differs'])}")
    simulated = " (SIMULATED)" if found["simulated"] else ""
    title = f"<b>{plain(task)}: {spelled(found['score'])} of the probe by phase{simulated}</b>"
    return Section(title, [Panel("", partial(_draw, found))])


def _draw(found: Mapping[str, Any], figure: go.Figure, row: int, column: int) -> None:
    phases = found["phases"]
    values = [score["pooled"] for score in phases.values()]
    limits = [score["interval_95"] for score in phases.values()]
    figure.add_scatter(
        x=[spelled(phase) for phase in phases], y=values, mode="lines+markers+text",
        text=[_said(found["differences"].get(phase)) for phase in phases], textposition="top center",
        line={"color": colour("frozen_ridge")}, name="pooled, 95 % interval over persons", legendgroup="pooled",
        error_y={
            "type": "data", "array": [high - value for value, (_, high) in zip(values, limits, strict=True)],
            "arrayminus": [value - low for value, (low, _) in zip(values, limits, strict=True)],
        },
        row=row, col=column,
    )  # fmt: skip
    figure.update_yaxes(title_text=spelled(found["score"]), row=row, col=column)


def _said(difference: Mapping[str, Any] | None) -> str:
    if difference is None:
        return ""
    low, high = difference["interval_95"]
    return f"{spelled(difference['of'])}: {difference['mean']:+.3f} ({low:+.3f} to {high:+.3f})"
