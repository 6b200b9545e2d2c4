"""Section of the page about the probes of all phases."""

import html
from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from eegfm.jobs.report.html_tables import html_table
from eegfm.printable import printable


def phases_section(compared: Mapping[str, Mapping[str, Any]], figures: Mapping[str, go.Figure]) -> list[str]:
    """Return the parts of the section; none where there is only one phase.

    Args:
        compared: See ``eegfm.evaluation.phases.compare_phases``.
        figures: Its figures by what they show.
    """
    if not compared:
        return []
    parts = ["<h2>Phases side by side</h2>"]
    rows = pd.concat([phases_rows(task, found) for task, found in compared.items()], ignore_index=True)
    if len(rows):
        parts.append(html_table(rows))
    parts += [
        f"<p>{html.escape(printable(f'{task}: {found[_DIFFERS]}'))}</p>"
        for task, found in compared.items()
        if _DIFFERS in found
    ]
    return parts + [
        figure.to_html(full_html=False, include_plotlyjs=False) for figure in figures.values() if figure.data
    ]


_DIFFERS = "differs"


def phases_rows(task: str, found: Mapping[str, Any]) -> pd.DataFrame:
    """Return a row per phase: its score, and its difference to the phase before over the same persons."""
    rows = []
    for phase, score in found.get("phases", {}).items():
        row = {"task": task, "phase": phase, "score": found["score"].replace("_", " ")}
        row |= {"pooled": f"{score['pooled']:.3f}", "95 % interval over persons": _interval(score)}
        rows.append(row | _difference(found["differences"].get(phase)))
    return pd.DataFrame(rows)


def _difference(found: Mapping[str, Any] | None) -> dict[str, str]:
    names = ("minus", "of", "mean over persons", "95 % interval", "persons improved", "Wilcoxon p")
    if found is None:
        return dict.fromkeys(names, "")
    p = found["wilcoxon"]["p"]
    improved = f"{found['n_persons_improved']} of {found['n_persons']}"
    tested = "not defined" if p is None else f"{p:.3g}"
    said = (found["to"], found["of"].replace("_", " "), f"{found['mean']:+.3f}", _interval(found), improved, tested)
    return dict(zip(names, said, strict=True))


def _interval(found: Mapping[str, Any]) -> str:
    low, high = found["interval_95"]
    return f"{low:.3f} to {high:.3f}"
