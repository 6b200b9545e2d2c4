"""Figure of label efficiency: the score of a probe by the share of training persons whose answers are known."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import plotly.graph_objects as go

from eegfm.plots.finetuning.models import colour
from eegfm.plots.finetuning.sections import Panel, Section, figure_of
from eegfm.plots.text import plain, spelled

_SCORES = ("balanced_accuracy", "r2")
_AS_FINETUNED = {"pretrained": "frozen_ridge", "untrained": "untrained_ridge"}
"""Kinds of features have the colours of the models that a finetuning fits to them."""


def label_efficiency_figure(metrics: Mapping[str, Mapping[str, Any]]) -> go.Figure:
    """Return a line per kind of features over the shares of persons, one panel per task.

    Shares with too few persons have no point. A task without such scores is a sentence above.

    Args:
        metrics: Metrics of a probe, by ``corpus.task``.
    """
    return figure_of([_section(task, block) for task, block in metrics.items()], n_columns=1)


def _section(task: str, block: Mapping[str, Any]) -> Section:
    rows = [row for row in block.get("label_efficiency", ()) if "scores" in row]
    if not rows:
        why = "no share has enough persons" if block.get("label_efficiency") else "off, see probe.label_ratios"
        return Section(f"{plain(task)}: label efficiency: {why}")
    simulated = " (SIMULATED)" if block["protocol"]["simulated"] else ""
    score = next(name for name in _SCORES if name in _of_persons(next(iter(rows[0]["scores"].values()))))
    title = f"<b>{plain(task)}: {spelled(score)} by training persons with known answers{simulated}</b>"
    return Section(title, [Panel("", partial(_draw, rows, score))])


def _draw(rows: list[Mapping[str, Any]], score: str, figure: go.Figure, row: int, column: int) -> None:
    shares = [100 * found["ratio"] for found in rows]
    persons = ["{} to {}".format(*found["n_persons"]) for found in rows]
    for kind in rows[0]["scores"]:
        scores = [_of_persons(found["scores"][kind])[score] for found in rows]
        model = _AS_FINETUNED.get(kind, kind)
        figure.add_scatter(
            x=shares, y=[found["pooled"] for found in scores], name=spelled(kind), legendgroup=kind,
            mode="lines+markers", line={"color": colour(model)}, customdata=persons,
            hovertemplate="%{x:.3g} % of persons (%{customdata}): %{y:.3f}",
            error_y={
                "type": "data", "thickness": 1,
                "array": [found["interval_95"][1] - found["pooled"] for found in scores],
                "arrayminus": [found["pooled"] - found["interval_95"][0] for found in scores],
            },
            row=row, col=column,
        )  # fmt: skip
    figure.update_xaxes(type="log", title_text="training persons with known answers, %", row=row, col=column)
    figure.update_xaxes(tickvals=shares, ticktext=[f"{share:.3g}" for share in shares], row=row, col=column)
    figure.update_yaxes(title_text=spelled(score), row=row, col=column)


def _of_persons(block: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = block.get("persons", block)
    return found
