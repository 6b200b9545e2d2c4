"""Learning curves of a finetuning: losses and one validated metric, task by task."""

from collections.abc import Sequence
from functools import partial

import pandas as pd
import plotly.graph_objects as go

from eegfm.plots.finetuning.models import ordered
from eegfm.plots.finetuning.sections import Panel, Section, figure_of, of_model
from eegfm.plots.text import plain, spelled

_METRICS = ("balanced_accuracy", "r2", "auroc")
"""Validated metrics, of which the first that a task has is shown where validations are compared by their loss."""
_LOSS = "val_loss"


def learning_curves(history: pd.DataFrame) -> go.Figure:
    """Return losses and a validated metric by optimizer step, one row per task, one line per seed and division.

    The metric is the one that validations are compared by, and the title says so. Where they are compared by their
    loss, the loss is marked, and the task's own metric stands beside it.

    Args:
        history: Rows with ``task``, ``model``, ``seed``, ``division``, ``monitor``, ``step``, ``loss``, ``val_loss``
            and columns ``val_<metric>``. Monitors are such as ``val/auroc``.
    """
    if history.empty:
        return figure_of([Section("no training, no learning curves")], n_columns=2)
    return figure_of([_section(str(task), rows) for task, rows in history.groupby("task", sort=False)], n_columns=2)


def _section(task: str, rows: pd.DataFrame) -> Section:
    monitors = rows["monitor"].str.replace("/", "_").value_counts()  # folds may have monitors of their own
    title = f"loss: training dotted, validation solid{_monitored(_LOSS, monitors)}"
    panels = [Panel(title, partial(_draw, rows, ("loss", _LOSS), "loss"))]
    asked = [str(name) for name in monitors.index if name != _LOSS] + [f"val_{name}" for name in _METRICS]
    known = [name for name in asked if name in rows and rows[name].notna().any()]
    if known:
        name = spelled(known[0].removeprefix("val_"))
        title = f"validation: {name}{_monitored(known[0], monitors)}"
        panels.append(Panel(title, partial(_draw, rows, known[:1], name)))
    n_lines = len(rows[["seed", "division"]].drop_duplicates())
    several = f", {n_lines} trainings of each model (seeds and folds)" if n_lines > 1 else ""
    return Section(f"{plain(task)}: learning curves{several}", panels)


def _monitored(column: str, monitors: "pd.Series[int]") -> str:
    """Say in a title whether it is a value that validations are compared by, in all trainings or in some of them."""
    if column not in monitors:
        return ""
    return " (compared)" if len(monitors) == 1 else " (compared in some trainings)"


def _draw(rows: pd.DataFrame, columns: Sequence[str], label: str, figure: go.Figure, row: int, column: int) -> None:
    for model in ordered(dict.fromkeys(map(str, rows["model"]))):
        for (seed, division), run in rows[rows["model"] == model].groupby(["seed", "division"], sort=False):
            for values in columns:
                shown = run.dropna(subset=[values]).sort_values("step")
                look = of_model(model)
                dash = "dot" if values == "loss" else "solid"
                figure.add_scatter(
                    **{**look, "line": {**look["line"], "dash": dash, "width": 1.2}}, x=shown["step"], y=shown[values],
                    mode="lines" if len(shown) > 1 else "markers", row=row, col=column,
                    hovertemplate=f"{spelled(model)}, {plain(str(division))}, seed {seed}, {spelled(values)}: "
                    "%{y:.4g} at step %{x}<extra></extra>",
                )  # fmt: skip
    figure.update_xaxes(title_text="optimizer step", row=row, col=column)
    figure.update_yaxes(title_text=label, row=row, col=column)
