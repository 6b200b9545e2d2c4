"""True numbers against those that models said, for each task that asks for numbers."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from eegfm.plots.finetuning.models import colour, task_title
from eegfm.plots.finetuning.pair import shown_pair
from eegfm.plots.finetuning.said import SaidOnce, said_of
from eegfm.plots.finetuning.sections import Panel, Section, figure_of
from eegfm.plots.text import plain
from eegfm.targets import TargetSpec

Floats = NDArray[np.float64]

MOST_POINTS = 5000
"""Points up to which each one is drawn. More of them are counted on a grid."""
N_CELLS = 60
"""Cells of the grid on each axis."""


class Points(NamedTuple):
    """Answers of one output.

    Args:
        true: (n,) true numbers.
        said: (n,) said numbers.
        names: (n,) identities of the persons.
    """

    true: Floats
    said: Floats
    names: NDArray[Any]


def scatter_figure(metrics: Mapping[str, Mapping[str, Any]], predictions: pd.DataFrame) -> go.Figure:
    """Return said numbers against true ones: of the finetuned model, and of the best other model.

    Where models are compared at the level of persons, a point is a person: the mean true number and the mean of what
    was said of its windows. Otherwise a point is a window. Of several seeds, all are shown.

    Args:
        metrics: Metrics of a finetuning, by ``corpus.task``.
        predictions: Its predictions, see ``eegfm.plots.finetuning.said``.
    """
    return figure_of([_section(task, block, predictions) for task, block in metrics.items()], n_columns=2, panel_px=420)


def _section(task: str, block: Mapping[str, Any], predictions: pd.DataFrame) -> Section:
    if block["protocol"]["target"]["kind"] != "regression":
        return Section(f"{plain(task)}: no scatter, the task asks for classes")
    said = said_of(task, block, predictions)
    pair = shown_pair(block, said)
    outputs = said.target.outputs or ("",)
    by_person = block["level"] == "person"
    found = {
        (k, model): points_of(said.by_model[model], k, by_person=by_person)
        for k in range(len(outputs))
        for model in pair
    }
    panels = [
        Panel(
            f"{plain(outputs[k])}{': ' if outputs[k] else ''}{pair[model]}", partial(_draw, said.target, model, points)
        )
        for (k, model), points in found.items()
    ]
    is_counted = any(len(points.true) > MOST_POINTS for points in found.values())
    units = "persons (means of their windows)" if by_person else "windows"
    counted = f", counted on a grid of {N_CELLS} x {N_CELLS}" if is_counted else ""
    seeds = ", all seeds" if any(len(said.by_model[model]) > 1 for model in pair) else ""
    return Section(task_title(task, f"true and said numbers of {units}{counted}{seeds}", block), panels)


def points_of(runs: Sequence[SaidOnce], output: int, *, by_person: bool) -> Points:
    """Return what all seeds said of an output, of windows or of persons."""
    parts = [(once.outputs[output], once.identities) for once in runs]
    seeds = np.repeat(np.arange(len(parts)), [len(o.rows) for o, _ in parts])
    rows = pd.DataFrame(
        {
            "seed": seeds,
            "name": np.concatenate([identities[o.rows] for o, identities in parts]),
            "true": np.concatenate([o.truths for o, _ in parts]).astype(np.float64),
            "said": np.concatenate([o.probabilities[:, 0] for o, _ in parts]),
        }
    )
    if by_person:
        rows = rows.groupby(["seed", "name"], as_index=False)[["true", "said"]].mean()
    return Points(rows["true"].to_numpy(), rows["said"].to_numpy(), rows["name"].to_numpy())


def _draw(target: TargetSpec, model: str, points: Points, figure: go.Figure, row: int, column: int) -> None:
    if len(points.true) > MOST_POINTS:
        counts, x, y = np.histogram2d(points.true, points.said, bins=N_CELLS)
        figure.add_heatmap(
            x=(x[1:] + x[:-1]) / 2, y=(y[1:] + y[:-1]) / 2, z=np.where(counts > 0, counts, np.nan).T,
            colorscale="Blues", showscale=False,
            hovertemplate="true %{x:.4g}, said %{y:.4g}: %{z} windows<extra></extra>",
            row=row, col=column,
        )  # fmt: skip
    else:
        figure.add_scatter(
            x=points.true, y=points.said, mode="markers", marker={"color": colour(model), "size": 5, "opacity": 0.6},
            text=[plain(str(name)) for name in points.names], showlegend=False,
            hovertemplate="%{text}: true %{x:.4g}, said %{y:.4g}<extra></extra>", row=row, col=column,
        )  # fmt: skip
    if len(points.true):
        ends = [float(points.true.min()), float(points.true.max())]
        figure.add_scatter(
            x=ends, y=ends, mode="lines", line={"dash": "dot", "color": "grey", "width": 1}, showlegend=False,
            hoverinfo="skip", row=row, col=column,
        )  # fmt: skip
    unit = f" ({plain(target.unit)})" if target.unit else ""
    figure.update_xaxes(title_text=f"true{unit}", row=row, col=column)
    figure.update_yaxes(title_text=f"said{unit}", row=row, col=column)
