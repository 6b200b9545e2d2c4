"""Learning curves of a finetuning: losses and one validated metric, task by task."""

from collections.abc import Sequence
from functools import partial

import pandas as pd
import plotly.graph_objects as go

from eegfm.plots.finetuning.models import ordered
from eegfm.plots.finetuning.sections import Panel, Section, figure_of, of_model
from eegfm.plots.text import plain, spelled

_METRICS = ("balanced_accuracy", "r2", "auroc")
"""Validated metrics, of which the first that a task has is shown."""


def learning_curves(history: pd.DataFrame) -> go.Figure:
    """Return losses and a validated metric by optimizer step, one row per task, one line per seed and division.

    Args:
        history: Rows with ``task``, ``model``, ``seed``, ``division``, ``step``, ``loss``, ``val_loss`` and columns
            ``val_<metric>``.
    """
    if history.empty:
        return figure_of([Section("no training, no learning curves")], n_columns=2)
    return figure_of([_section(str(task), rows) for task, rows in history.groupby("task", sort=False)], n_columns=2)


def _section(task: str, rows: pd.DataFrame) -> Section:
    panels = [Panel("loss: training dotted, validation solid", partial(_draw, rows, ("loss", "val_loss"), "loss"))]
    known = [f"val_{name}" for name in _METRICS if f"val_{name}" in rows and rows[f"val_{name}"].notna().any()]
    if known:
        name = spelled(known[0].removeprefix("val_"))
        panels.append(Panel(f"validation: {name}", partial(_draw, rows, known[:1], name)))
    n_lines = len(rows[["seed", "division"]].drop_duplicates())
    several = f", {n_lines} trainings of each model (seeds and folds)" if n_lines > 1 else ""
    return Section(f"{plain(task)}: learning curves{several}", panels)


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
