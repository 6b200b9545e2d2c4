"""Label efficiency: scores by the share of training persons whose answers are known, of a finetuning and of a probe."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import plotly.graph_objects as go

from eegfm.plots.finetuning.models import FINETUNED, colour, limits_of, ordered, task_title, value_of
from eegfm.plots.finetuning.sections import Panel, Section, figure_of
from eegfm.plots.text import counted, plain, spelled

_TRAINED = ("scratch", "eegnet")
_CLOSED = ("ridge", "logistic", "knn")
"""Strategies of a finetuned model that is fitted in closed form."""

Point = tuple[float | None, tuple[float, float] | None]
"""A value and the limits of its interval; None where they are not known."""


def label_efficiency_figure(metrics: Mapping[str, Mapping[str, Any]]) -> go.Figure:
    """Return a line per model over the shares of persons, one panel per task.

    Shown is the metric that models are compared by, at their level. Shares with too few persons have no point. A task
    without such scores is a sentence above.

    Args:
        metrics: Metrics of a finetuning, by ``corpus.task``.
    """
    return figure_of([_section(task, block) for task, block in metrics.items()], n_columns=1)


def _section(task: str, block: Mapping[str, Any]) -> Section:
    rows = scored_rows(block)
    if not rows:
        return nothing_scored(task, block, "finetune.label_ratios")
    name = block["compared_by"]
    points = {
        model: [(value_of(row["scores"][model], name), limits_of(row["scores"][model], name)) for row in rows]
        for model in ordered(rows[0]["scores"])
    }
    what = f"{spelled(name)} of {spelled(block['level'])}s by share of training persons"
    persons = {model: [_persons(row, is_trained=_is_trained(model, block)) for row in rows] for model in points}
    draw = partial(draw_shares, rows, points, name, persons=persons, axis="share of training persons, %")
    return Section(task_title(task, what, block), [Panel("", draw)])


def _is_trained(model: str, block: Mapping[str, Any]) -> bool:
    """Tell whether a model is trained by gradients, and not fitted in closed form."""
    return model in _TRAINED or (model == FINETUNED and block["protocol"]["strategy"]["name"] not in _CLOSED)


def _persons(row: Mapping[str, Any], *, is_trained: bool) -> str:
    """Say whose answers a model knows. Closed forms are fitted to the same share of the selecting persons, too."""
    if is_trained:
        return f"{counted(*row['n_persons'])} trained on; all who select"
    return f"{counted(*row['n_fitted_persons'])} fitted to"


def scored_rows(block: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the shares of a task that have scores."""
    return [row for row in block.get("label_efficiency", ()) if "scores" in row]


def nothing_scored(task: str, block: Mapping[str, Any], key: str) -> Section:
    """Return the sentence about a task without scores.

    Args:
        task: Its name.
        block: Its metrics.
        key: The parameter that asks for shares.
    """
    why = "no share has enough persons" if block.get("label_efficiency") else f"off, see {key}"
    return Section(f"{plain(task)}: label efficiency: {why}")


def draw_shares(
    rows: Sequence[Mapping[str, Any]],
    points: Mapping[str, Sequence[Point]],
    score: str,
    figure: go.Figure,
    row: int,
    column: int,
    *,
    coloured_as: Mapping[str, str] | None = None,
    persons: Mapping[str, Sequence[str]] | None = None,
    axis: str = "training persons with known answers, %",
) -> None:
    """Draw a line per model over shares of persons.

    Args:
        rows: Shares with their ``ratio`` and ``n_persons``.
        points: By name of a model, a point for each share.
        score: Name of what is shown.
        figure: Where it is drawn.
        row: Row of the panel.
        column: Its column.
        coloured_as: Names of models whose colours others have.
        persons: By name of a model, whose answers it knows at each share; the ``n_persons`` of all models if not given.
        axis: What the shares are of.
    """
    shares = [100 * found["ratio"] for found in rows]
    of_all = [counted(*found["n_persons"]) for found in rows]
    for model, found in points.items():
        distances = [_distances(*point) for point in found]
        figure.add_scatter(
            x=shares, y=[value for value, _ in found], name=spelled(model), legendgroup=model, mode="lines+markers",
            line={"color": colour((coloured_as or {}).get(model, model))},
            customdata=of_all if persons is None else persons[model],
            hovertemplate="%{x:.3g} % of persons (%{customdata}): %{y:.3f}",
            error_y={
                "type": "data", "thickness": 1, "array": [up for _, up in distances],
                "arrayminus": [down for down, _ in distances],
            },
            row=row, col=column,
        )  # fmt: skip
    figure.update_xaxes(type="log", title_text=axis, row=row, col=column)
    figure.update_xaxes(tickvals=shares, ticktext=[f"{share:.3g}" for share in shares], row=row, col=column)
    figure.update_yaxes(title_text=spelled(score), row=row, col=column)


def _distances(value: float | None, limits: tuple[float, float] | None) -> tuple[float, float]:
    if value is None or limits is None:
        return 0.0, 0.0
    return value - limits[0], limits[1] - value
