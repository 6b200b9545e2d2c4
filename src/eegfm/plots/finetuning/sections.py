"""Figures of several tasks: a section of panels for each task, or one sentence why it has none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from eegfm.plots.finetuning.models import colour
from eegfm.plots.text import spelled

_GAP_PX, _LINE_PX, _HEADING_PX = 125, 20, 24
"""Height of a gap between rows, of a sentence, and of the title of a panel."""

Draw = Callable[[go.Figure, int, int], None]
"""Draws into a row and column of a figure."""


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Args:
        title: Its title, escaped.
        draw: Draws it.
    """

    title: str
    draw: Draw


@dataclass(frozen=True)
class Section:
    """Part of a figure that shows a task.

    Args:
        title: Its title, escaped.
        panels: Its panels. Without any, the title says why.
    """

    title: str
    panels: list[Panel] = field(default_factory=list)


def figure_of(sections: Sequence[Section], *, n_columns: int, panel_px: int = 340) -> go.Figure:
    """Draw the panels of each task from a new row on. Sections without panels are sentences above all panels.

    Args:
        sections: One per task.
        n_columns: Most panels beside each other.
        panel_px: Height of a panel.
    """
    rows = [(s.title if k == 0 else "", row) for s in sections for k, row in enumerate(_rows(s, n_columns))]
    sentences = [section.title for section in sections if not section.panels]
    top_px = 40 + _LINE_PX * len(sentences) + 2 * _HEADING_PX * bool(rows)
    figure = _with_panels(rows, panel_px) if rows else go.Figure()
    if not rows:
        figure.update_xaxes(visible=False)
        figure.update_yaxes(visible=False)
    height_px = len(rows) * panel_px + max(len(rows) - 1, 0) * _GAP_PX + top_px + 60
    title = {"text": "<br>".join(sentences), "font": {"size": 14}, "x": 0, "xref": "paper", "y": 1, "yanchor": "top"}
    title |= {"pad": {"t": 10}}
    figure.update_layout(template="plotly_white", height=height_px, margin={"t": top_px, "b": 60})
    figure.update_layout(title=title if sentences else None)
    _one_legend_entry_each(figure)
    return figure


def _rows(section: Section, n_columns: int) -> list[list[Panel]]:
    return [section.panels[at : at + n_columns] for at in range(0, len(section.panels), n_columns)]


def _with_panels(rows: Sequence[tuple[str, list[Panel]]], panel_px: int) -> go.Figure:
    n_columns = max(len(panels) for _, panels in rows)
    gap = _GAP_PX / (len(rows) * panel_px + (len(rows) - 1) * _GAP_PX)
    # An empty cell takes no axes; a narrow row has them at the left.
    specs: list[list[dict[str, Any] | None]] = [
        [{} if k < len(panels) else None for k in range(n_columns)] for _, panels in rows
    ]
    titles = [panel.title for _, panels in rows for panel in panels]
    figure = make_subplots(
        rows=len(rows), cols=n_columns, specs=specs, subplot_titles=titles, vertical_spacing=gap,
        horizontal_spacing=0.22 / n_columns,
    )  # fmt: skip
    for annotation in figure.layout.annotations:
        annotation.font.size = 12
    for number, (heading, panels) in enumerate(rows, start=1):
        for column, panel in enumerate(panels, start=1):
            panel.draw(figure, number, column)
        if heading:
            top = next(figure.select_yaxes(row=number, col=1)).domain[1]
            figure.add_annotation(
                text=heading, align="left", x=0, xref="paper", xanchor="left", y=top, yref="paper", yanchor="bottom",
                yshift=_HEADING_PX, showarrow=False,
            )  # fmt: skip
    return figure


def _one_legend_entry_each(figure: go.Figure) -> None:
    """Traces of one group share an entry of the legend, which switches all of them."""
    seen: set[str] = set()
    for trace in figure.data:
        group = trace.legendgroup
        if group is not None and trace.showlegend is not False:
            trace.showlegend = group not in seen
            seen.add(group)


def of_model(model: str, *, is_shown: bool = True) -> dict[str, Any]:
    """Return name, colour and group of a model's lines."""
    return {
        "name": spelled(model),
        "legendgroup": model,
        "line": {"color": colour(model)},
        "visible": True if is_shown else "legendonly",
    }
