"""Calibration: how often models are right, beside how sure they are."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from eegfm.metrics.scoring.tally import N_BINS
from eegfm.plots.finetuning.models import FINETUNED, task_title, value_of
from eegfm.plots.finetuning.said import SaidOnce, TaskSaid, said_of
from eegfm.plots.finetuning.sections import Panel, Section, figure_of, of_model
from eegfm.plots.text import plain, spelled

_SHOWN = (FINETUNED, "scratch", "eegnet")
"""Models that are trained to give probabilities; those of closed-form fits are made of scores."""


class Bins(NamedTuple):
    """Bins of confidence that have windows.

    Args:
        number: (B,) number of the bin, of ``eegfm.metrics.scoring.tally.N_BINS``.
        n_windows: (B,) windows in it.
        confidence: (B,) mean probability of the predicted class.
        right: (B,) share of right windows.
    """

    number: NDArray[np.int64]
    n_windows: NDArray[np.int64]
    confidence: NDArray[np.float64]
    right: NDArray[np.float64]


def calibration_figure(metrics: Mapping[str, Mapping[str, Any]], predictions: pd.DataFrame) -> go.Figure:
    """Return the share of right windows by confidence, and how many windows have which confidence.

    Confidence is the probability of the predicted class, in the bins of the expected calibration error (ECE). Windows
    of several outputs are pooled. Closed-form models can be switched on in the legend.

    Args:
        metrics: Metrics of a finetuning, by ``corpus.task``.
        predictions: Its predictions, see ``eegfm.plots.finetuning.said``.
    """
    return figure_of([_section(task, block, predictions) for task, block in metrics.items()], n_columns=2)


def _section(task: str, block: Mapping[str, Any], predictions: pd.DataFrame) -> Section:
    if block["protocol"]["target"]["kind"] == "regression":
        return Section(f"{plain(task)}: no calibration, the task asks for numbers")
    said = said_of(task, block, predictions)
    errors = {model: value_of(block["models"].get(model, {}).get("window"), "ece") for model in said.by_model}
    known = [f"{spelled(m)} {e:.3f}" for m, e in errors.items() if e is not None and m in _SHOWN]
    ece = f" (ECE: {', '.join(known)})" if known else ""
    panels = [
        Panel(f"share of right windows by confidence{ece}", partial(_draw_shares, said)),
        Panel("windows by confidence", partial(_draw_counts, said)),
    ]
    return Section(task_title(task, "calibration of windows", block), panels)


def _draw_shares(said: TaskSaid, figure: go.Figure, row: int, column: int) -> None:
    for model, runs in said.by_model.items():
        for once in runs:
            bins = bins_of(once)
            figure.add_scatter(
                **of_model(model, is_shown=_is_shown(model, said)), x=bins.confidence, y=bins.right,
                mode="lines+markers", customdata=bins.n_windows, row=row, col=column,
                hovertemplate=f"{spelled(model)}, seed {once.init}: right %{{y:.3f}}, confidence %{{x:.3f}}, "
                "%{customdata} windows<extra></extra>",
            )  # fmt: skip
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"dash": "dot", "color": "grey", "width": 1}, showlegend=False,
        hoverinfo="skip", row=row, col=column,
    )  # fmt: skip
    figure.update_xaxes(title_text="confidence", range=[0, 1.02], row=row, col=column)
    figure.update_yaxes(title_text="share of right windows", range=[0, 1.02], row=row, col=column)


def _draw_counts(said: TaskSaid, figure: go.Figure, row: int, column: int) -> None:
    for model, runs in said.by_model.items():
        for once in runs:
            bins = bins_of(once)
            look = of_model(model, is_shown=_is_shown(model, said))
            figure.add_scatter(
                **{**look, "line": {**look["line"], "shape": "hvh"}}, x=(bins.number + 0.5) / N_BINS, y=bins.n_windows,
                mode="lines+markers", showlegend=False, row=row, col=column,
                hovertemplate=f"{spelled(model)}, seed {once.init}: %{{y}} windows<extra></extra>",
            )  # fmt: skip
    figure.update_xaxes(title_text="confidence", range=[0, 1.02], row=row, col=column)
    figure.update_yaxes(title_text="windows", rangemode="tozero", row=row, col=column)


def _is_shown(model: str, said: TaskSaid) -> bool:
    return model in _SHOWN or not set(_SHOWN) & said.by_model.keys()


def bins_of(once: SaidOnce) -> Bins:
    """Count windows by confidence: equally wide bins, closed above, as those of the ECE."""
    probabilities = [output.probabilities for output in once.outputs]
    confidence = np.concatenate([values.max(axis=1) for values in probabilities])
    right = np.concatenate([o.probabilities.argmax(axis=1) == o.truths for o in once.outputs])
    cell = np.clip(np.ceil(confidence * N_BINS).astype(np.int64) - 1, 0, N_BINS - 1)
    n_windows = np.bincount(cell, minlength=N_BINS)
    number = np.flatnonzero(n_windows)
    sums = [np.bincount(cell, values, minlength=N_BINS)[number] for values in (confidence, right)]
    return Bins(number, n_windows[number], *(values / n_windows[number] for values in sums))
