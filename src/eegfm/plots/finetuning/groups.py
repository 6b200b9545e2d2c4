"""Scores of groups of persons, task by task."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import plotly.graph_objects as go

from eegfm.plots.finetuning.models import colour, limits_of, ordered, task_title, value_of
from eegfm.plots.finetuning.sections import Panel, Section, figure_of
from eegfm.plots.text import plain, spelled


def groups_figure(metrics: Mapping[str, Mapping[str, Any]]) -> go.Figure:
    """Return scores by group with their 95 % intervals: one panel per column, with the persons in each group.

    Args:
        metrics: Metrics of a finetuning, by ``corpus.task``. ``groups`` is that of
            ``eegfm.evaluation.groups.scores_by_group``.
    """
    return figure_of([_section(task, block) for task, block in metrics.items()], n_columns=2)


def _section(task: str, block: Mapping[str, Any]) -> Section:
    groups = block.get("groups") or {}
    columns = groups.get("by") or {}
    if not columns:
        return Section(f"{plain(task)}: no results by group, the recordings tell neither age nor sex nor site")
    panels = [Panel(f"by {spelled(name)}", partial(_draw, block, found)) for name, found in columns.items()]
    fewest = groups["fewest_persons"]
    what = f"{spelled(block['compared_by'])} of {spelled(groups['level'])}s by group (no score below {fewest} persons)"
    return Section(task_title(task, what, block), panels)


def _draw(
    block: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]], figure: go.Figure, row: int, column: int
) -> None:
    name = block["compared_by"]
    labels = [f"{plain(group)}<br>{block_['n_persons']} persons" for group, block_ in found.items()]
    for model in ordered(dict.fromkeys(model for one in found.values() for model in one["models"])):
        scores = [one["models"].get(model) for one in found.values()]
        values = [value_of(score, name) for score in scores]
        limits = [limits_of(score, name) for score in scores]
        distances = [
            (0.0, 0.0) if value is None or pair is None else (value - pair[0], pair[1] - value)
            for value, pair in zip(values, limits, strict=True)
        ]
        figure.add_bar(
            x=labels, y=values, name=spelled(model), legendgroup=model, marker_color=colour(model),
            error_y={
                "type": "data", "array": [up for _, up in distances], "arrayminus": [down for down, _ in distances],
            },
            customdata=[one["n_windows"] for one in found.values()], row=row, col=column,
            hovertemplate=f"{spelled(model)}, %{{x}}, %{{customdata}} windows: %{{y:.3f}}<extra></extra>",
        )  # fmt: skip
    # Groups without a score keep their place.
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=labels, row=row, col=column)
    figure.update_yaxes(title_text=spelled(name), row=row, col=column)
