"""Figure of the scores of a finetuning: all models with their intervals, task by task."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import plotly.graph_objects as go

from eegfm.plots.finetuning.models import colour, limits_of, ordered, task_title, value_of
from eegfm.plots.finetuning.sections import Panel, Section, figure_of
from eegfm.plots.text import spelled

_CHANCE = {"auroc": 0.5, "r2": 0.0, "pearson": 0.0, "cohen_kappa": 0.0}
_UNIT_RANGE = ("balanced_accuracy", "auroc", "accuracy")


def finetuning_figure(metrics: Mapping[str, Mapping[str, Any]]) -> go.Figure:
    """Return the score of each model with its 95 % interval over persons, one row per task.

    Shown is the metric that models are compared by, at their level. The title says how the task was evaluated, whether
    its signals are simulated, and how often its test persons were scored before.

    Args:
        metrics: Metrics of a finetuning, by ``corpus.task``.
    """
    sections = [_section(task, block) for task, block in metrics.items()]
    return figure_of(sections, n_columns=1)


def _section(task: str, block: Mapping[str, Any]) -> Section:
    name, level = block["compared_by"], block["level"]
    title = task_title(task, f"{spelled(name)} of {spelled(level)}s", block)
    models = ordered(block["models"])
    undefined = [m for m in models if value_of(block["models"][m].get(level), name) is None]
    missing = f"not defined for {', '.join(map(spelled, undefined))}" if undefined else ""
    return Section(title, [Panel(missing, partial(_draw, block, models))])


def _draw(block: Mapping[str, Any], models: list[str], figure: go.Figure, row: int, column: int) -> None:
    name, level = block["compared_by"], block["level"]
    scores = {model: block["models"][model].get(level) for model in models}
    shown = {model: value for model in models if (value := value_of(scores[model], name)) is not None}
    limits = {model: limits_of(scores[model], name) or (shown[model], shown[model]) for model in shown}
    figure.add_bar(
        x=[spelled(model) for model in shown], y=list(shown.values()), marker_color=[colour(model) for model in shown],
        text=[f"{value:.3f}" for value in shown.values()], textposition="inside", insidetextanchor="start",
        name="value, 95 % interval over persons", legendgroup="value", opacity=0.75,
        customdata=[f"{low:.3f} to {high:.3f}" if high > low else "none" for low, high in limits.values()],
        hovertemplate="%{x}: %{y:.3f}<br>95 % interval over persons: %{customdata}<extra></extra>",
        error_y={
            "type": "data", "array": [limits[model][1] - value for model, value in shown.items()],
            "arrayminus": [value - limits[model][0] for model, value in shown.items()],
        },
        row=row, col=column,
    )  # fmt: skip
    chance = _chance(block)
    if chance is not None:
        figure.add_hline(y=chance, line_dash="dot", annotation_text="without knowledge", row=row, col=column)
    figure.update_yaxes(title_text=spelled(name), row=row, col=column)
    if name in _UNIT_RANGE:
        figure.update_yaxes(range=[0, 1.05], row=row, col=column)


def _chance(block: Mapping[str, Any]) -> float | None:
    """Score without any knowledge; None where it depends on the answers."""
    target = block["protocol"]["target"]
    if block["compared_by"] == "balanced_accuracy":
        return 1 / (2 if target["kind"] == "multilabel" else len(target["classes"]))
    return _CHANCE.get(block["compared_by"])
