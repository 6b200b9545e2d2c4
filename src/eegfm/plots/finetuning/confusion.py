"""Confusion matrices of the finetuned model and of the best other model, task by task."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from eegfm.metrics.scoring.answered import Output
from eegfm.plots.finetuning.models import task_title
from eegfm.plots.finetuning.pair import shown_pair
from eegfm.plots.finetuning.said import SaidOnce, said_of
from eegfm.plots.finetuning.sections import Panel, Section, figure_of
from eegfm.plots.text import plain
from eegfm.targets import TargetSpec

Counts = NDArray[np.float64]

_CELLS = ("no, said no", "no, said yes", "yes, said no", "yes, said yes")


def confusion_figure(metrics: Mapping[str, Mapping[str, Any]], predictions: pd.DataFrame) -> go.Figure:
    """Return windows by true class (rows) and said class (columns), coloured by their share in the true class.

    The said class is the one of the highest probability. Windows of several outputs are pooled; yes-or-no outputs have
    one row each. Of several seeds, counts are means.

    Args:
        metrics: Metrics of a finetuning, by ``corpus.task``.
        predictions: Its predictions, see ``eegfm.plots.finetuning.said``.
    """
    return figure_of([_section(task, block, predictions) for task, block in metrics.items()], n_columns=2, panel_px=420)


def _section(task: str, block: Mapping[str, Any], predictions: pd.DataFrame) -> Section:
    if block["protocol"]["target"]["kind"] == "regression":
        return Section(f"{plain(task)}: no confusion matrix, the task asks for numbers")
    said = said_of(task, block, predictions)
    panels = [
        Panel(title, partial(_draw, said.target, said.by_model[model]))
        for model, title in shown_pair(block, said).items()
    ]
    pooled = " of all outputs" if said.target.kind == "multioutput" else ""
    return Section(task_title(task, f"windows{pooled} by true and said class", block), panels)


def _draw(target: TargetSpec, runs: Sequence[SaidOnce], figure: go.Figure, row: int, column: int) -> None:
    counts = np.mean([[_counts(output) for output in once.outputs] for once in runs], axis=0)  # (K, C, C)
    if target.kind == "multilabel":
        table, x, y = counts.reshape(len(counts), 4), list(_CELLS), [plain(name) for name in target.outputs]
        shares = _shares(counts).reshape(len(counts), 4)
    else:
        table, x = counts.sum(axis=0), [plain(name) for name in target.classes]
        shares, y = _shares(table), x
    figure.add_heatmap(
        x=x, y=y, z=shares, zmin=0, zmax=1, colorscale="Blues", showscale=False, customdata=table,
        text=[[_number(value) for value in line] for line in table], texttemplate="%{text}",
        hovertemplate="true %{y}, said %{x}: %{customdata:.6~g} windows, %{z:.1%} of the true class<extra></extra>",
        row=row, col=column,
    )  # fmt: skip
    is_outputs = target.kind == "multilabel"
    figure.update_xaxes(
        title_text="true and said answer" if is_outputs else "said", type="category", row=row, col=column
    )
    y_title = "output" if is_outputs else "true"
    figure.update_yaxes(title_text=y_title, autorange="reversed", type="category", row=row, col=column)


def _counts(output: Output) -> Counts:
    """(C, C) windows by true and said class."""
    n_classes = output.probabilities.shape[1]
    cell = output.truths.astype(np.int64) * n_classes + output.probabilities.argmax(axis=1)
    counts = np.bincount(cell, minlength=n_classes**2).reshape(n_classes, n_classes)
    return np.asarray(counts, dtype=np.float64)


def _shares(counts: Counts) -> Counts:
    """(..., C, C) shares within the true class; NaN, which has no colour, for a class that does not occur."""
    totals = counts.sum(axis=-1, keepdims=True)
    return np.where(totals > 0, counts / np.where(totals > 0, totals, 1.0), np.nan)


def _number(count: float) -> str:
    return f"{count:.0f}" if count == round(count) else f"{count:.1f}"
