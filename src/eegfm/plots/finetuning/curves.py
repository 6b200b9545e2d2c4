"""ROC and precision-recall curves of all models, for each task that asks for classes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from eegfm.metrics.scoring.curves import Areas, Ranking
from eegfm.plots.finetuning.models import FINETUNED, task_title
from eegfm.plots.finetuning.questions import Floats, Question, Rows, questions_of
from eegfm.plots.finetuning.said import TaskSaid, said_of
from eegfm.plots.finetuning.sections import Panel, Section, figure_of, of_model
from eegfm.plots.finetuning.turns import TOLERANCE, Curve, precision_recall_curve_of, roc_curve_of
from eegfm.plots.text import plain, spelled

_POOLED = {
    "binary": "",
    "multiclass": ", each class against all others",
    "multilabel": ", output by output",
    "multioutput": ", each class against all others, windows of all outputs pooled",
}


@dataclass(frozen=True)
class _Kind:
    """A kind of curve.

    Args:
        name: What it is called.
        area: What the area below it is called, and how it is found.
        points: Finds its points.
        axes: Titles of both axes.
        shape: How points are joined.
    """

    name: str
    area: tuple[str, Callable[[Areas], Floats]]
    points: Callable[[Floats, Rows], Curve | None]
    axes: tuple[str, str]
    shape: str


_ROC = _Kind(
    "ROC curves", ("AUROC", lambda areas: areas.auroc), roc_curve_of,
    ("false positive rate", "true positive rate"), "linear",
)  # fmt: skip
_PRECISION_RECALL = _Kind(
    "precision-recall curves", ("AUPRC", lambda areas: areas.auprc), precision_recall_curve_of,
    ("recall", "precision"), "vh",
)  # fmt: skip


def roc_figure(metrics: Mapping[str, Mapping[str, Any]], predictions: pd.DataFrame) -> go.Figure:
    """Return ROC curves of the test windows: all models, one panel per class or output, one line per seed.

    Args:
        metrics: Metrics of a finetuning, by ``corpus.task``.
        predictions: Its predictions, see ``eegfm.plots.finetuning.said``.
    """
    return _figure(_ROC, metrics, predictions)


def precision_recall_figure(metrics: Mapping[str, Mapping[str, Any]], predictions: pd.DataFrame) -> go.Figure:
    """Return precision-recall curves of the test windows; a dotted line is the share of positive windows.

    Args:
        metrics: Metrics of a finetuning, by ``corpus.task``.
        predictions: Its predictions, see ``eegfm.plots.finetuning.said``.
    """
    return _figure(_PRECISION_RECALL, metrics, predictions)


def _figure(kind: _Kind, metrics: Mapping[str, Mapping[str, Any]], predictions: pd.DataFrame) -> go.Figure:
    return figure_of([_section(kind, task, block, predictions) for task, block in metrics.items()], n_columns=3)


def _section(kind: _Kind, task: str, block: Mapping[str, Any], predictions: pd.DataFrame) -> Section:
    if block["protocol"]["target"]["kind"] == "regression":
        return Section(f"{plain(task)}: no {kind.name}, the task asks for numbers")
    said = said_of(task, block, predictions)
    drawn = {question: _lines(kind, question, said) for question in questions_of(said.target)}
    panels = [Panel(_title(question, lines, kind), partial(_draw, kind, lines)) for question, lines in drawn.items()]
    is_exact = all(line.curve.is_exact for lines in drawn.values() for line in lines)
    thinned = "" if is_exact else f"; points closer than {TOLERANCE} are merged"
    return Section(task_title(task, f"{kind.name} of windows{_POOLED[said.target.kind]}{thinned}", block), panels)


@dataclass(frozen=True)
class _Line:
    """A curve of one training or initialisation of a model, with the area below it and the share of positives."""

    model: str
    init: int
    curve: Curve
    area: float
    share: float


def _lines(kind: _Kind, question: Question, said: TaskSaid) -> list[_Line]:
    """Curves of all models; none where all windows, or no window, are of the class."""
    found = []
    for model, inits in said.by_model.items():
        for once in inits:
            scores, positives = question.ranked(once.outputs)
            curve = kind.points(scores, positives)
            if curve is None:
                return []
            areas = Ranking.of(scores, positives, np.zeros(len(scores), dtype=np.int64), 1).areas(np.ones((1, 1)))
            area = float(kind.area[1](areas)[0])
            found.append(_Line(model, once.init, curve, area, float(positives.mean())))
    return found


def _title(question: Question, lines: list[_Line], kind: _Kind) -> str:
    name = plain(question.name)
    if not lines:
        return f"{name}: no curve, all windows or none are of it"
    first = next((line.model for line in lines if line.model == FINETUNED), lines[0].model)
    area = np.mean([line.area for line in lines if line.model == first])
    return f"{name} ({spelled(first)}: {kind.area[0]} {area:.3f})"


def _draw(kind: _Kind, lines: list[_Line], figure: go.Figure, row: int, column: int) -> None:
    for line in lines:
        look = of_model(line.model)
        figure.add_scatter(
            **{**look, "line": {**look["line"], "shape": kind.shape, "width": 1.5}}, x=line.curve.x, y=line.curve.y,
            mode="lines", row=row, col=column,
            hovertemplate=f"{spelled(line.model)}, seed {line.init}, {kind.area[0]} {line.area:.3f}<br>"
            f"{kind.axes[0]} %{{x:.3f}}, {kind.axes[1]} %{{y:.3f}}<extra></extra>",
        )  # fmt: skip
    if lines:
        start, stop = (0.0, 1.0) if kind is _ROC else (lines[0].share, lines[0].share)
        figure.add_scatter(
            x=[0, 1], y=[start, stop], mode="lines", line={"dash": "dot", "color": "grey", "width": 1},
            showlegend=False, hoverinfo="skip", row=row, col=column,
        )  # fmt: skip
    figure.update_xaxes(title_text=kind.axes[0], range=[-0.02, 1.02], row=row, col=column)
    figure.update_yaxes(title_text=kind.axes[1], range=[-0.02, 1.02], row=row, col=column)
