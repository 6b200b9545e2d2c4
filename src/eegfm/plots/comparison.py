"""Figure of a probe: each kind of features beside its controls, task by task."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from eegfm.plots.text import looks_before, plain, spelled

_SCORES = ("balanced_accuracy", "top1", "r2")
"""Scores that features are compared by."""
_ROW_HEIGHT = 420
_CHANCE = "chance"


def comparison_figure(metrics: Mapping[str, Mapping[str, Any]]) -> go.Figure:
    """Score of each kind of features with its interval, one row per task.

    Classes are shown by balanced accuracy and moments by top-1, with every held-out person as a point; numbers by R2,
    of one mean prediction per person where an answer is of the person.

    Args:
        metrics: Metrics of a probe, by ``corpus.task``.
    """
    titles = [_title(name, block) for name, block in metrics.items()]
    figure = make_subplots(rows=max(len(metrics), 1), cols=1, subplot_titles=titles or None)
    named: set[str] = set()
    for row, block in enumerate(metrics.values(), start=1):
        kinds = [
            kind for kind, found in block.items() if isinstance(found, Mapping) and not found.keys().isdisjoint(_SCORES)
        ]
        scores = [_score(block[kind]) for kind in kinds]
        figure.add_bar(
            x=kinds, y=[s["pooled"] for s in scores], name="pooled, 95 % interval over persons",
            marker_color="lightsteelblue", showlegend=row == 1, row=row, col=1,
            error_y={
                "type": "data", "array": [s["interval_95"][1] - s["pooled"] for s in scores],
                "arrayminus": [s["pooled"] - s["interval_95"][0] for s in scores],
            },
        )  # fmt: skip
        chance, said = _chance(block)
        for person in sorted(scores[0]["per_person"]) if said == _CHANCE else ():
            figure.add_scatter(
                x=kinds, y=[s["per_person"].get(person) for s in scores], name=plain(person), mode="markers+lines",
                line={"width": 0.5}, marker={"size": 6}, legendgroup=plain(person), showlegend=person not in named,
                row=row, col=1,
            )  # fmt: skip
            named.add(person)
        figure.add_hline(y=chance, line_dash="dot", annotation_text=said, row=row, col=1)
        if "balanced_accuracy" in block[kinds[0]]:
            figure.update_yaxes(range=[0, 1.05], row=row, col=1)
    figure.update_layout(template="plotly_white", height=60 + _ROW_HEIGHT * max(len(metrics), 1))
    return figure


def _chance(block: Mapping[str, Any]) -> tuple[float, str]:
    """Score without any knowledge, and what it is called."""
    protocol = block["protocol"]
    if "classes" in protocol:
        return 1 / len(protocol["classes"]), _CHANCE
    return (1 / protocol["n_candidates"], _CHANCE) if "n_candidates" in protocol else (0.0, "mean of training")


def _score(block: Mapping[str, Any]) -> Mapping[str, Any]:
    """The score that features are compared by."""
    of_persons: Mapping[str, Any] = block.get("persons", block)
    found: Mapping[str, Any] = next(of_persons[name] for name in _SCORES if name in of_persons)
    return found


def _title(name: str, block: Mapping[str, Any]) -> str:
    protocol = block["protocol"]
    if "classes" in protocol:
        shown = "balanced accuracy on held-out persons"
    elif "n_candidates" in protocol:
        shown = f"windows found among {protocol['n_candidates']} moments, held-out persons"
    elif protocol["is_of_person"]:
        shown = "R2 over held-out persons, one mean prediction each"
    else:
        shown = "R2 on windows of held-out persons"
    simulated = " (SIMULATED)" if protocol["simulated"] else ""
    return f"{plain(name)}: {shown}{simulated}<br>{_evaluation(protocol)}{looks_before(protocol['n_looks_before'])}"


def _evaluation(protocol: Mapping[str, Any]) -> str:
    """Say how persons were held out, and which fits differ; a retrieval holds nobody out."""
    said = ""
    if protocol.get("evaluation") == "split":
        why = plain(", ".join(protocol["tested_for"]))
        said = f"split train and validation to split test ({why}), "
    elif "evaluation" in protocol:
        said = f"cross-validation of {protocol['n_folds']} folds, "
    if "method_of_controls" in protocol:
        said += f"{spelled(protocol['method'])} on encoders and {protocol['method_of_controls']} on controls, "
    return said
