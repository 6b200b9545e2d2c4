"""Figure of label efficiency: the score of a probe by the share of training persons whose answers are known."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import plotly.graph_objects as go

from eegfm.plots.finetuning.label_efficiency import Point, draw_shares, nothing_scored, scored_rows
from eegfm.plots.finetuning.sections import Panel, Section, figure_of
from eegfm.plots.text import plain, spelled

_SCORES = ("balanced_accuracy", "r2")
_AS_FINETUNED = {"pretrained": "frozen_ridge", "untrained": "untrained_ridge"}
"""Kinds of features have the colours of the models that a finetuning fits to them."""


def label_efficiency_figure(metrics: Mapping[str, Mapping[str, Any]]) -> go.Figure:
    """Return a line per kind of features over the shares of persons, one panel per task.

    Shares with too few persons have no point. A task without such scores is a sentence above.

    Args:
        metrics: Metrics of a probe, by ``corpus.task``.
    """
    return figure_of([_section(task, block) for task, block in metrics.items()], n_columns=1)


def _section(task: str, block: Mapping[str, Any]) -> Section:
    rows = scored_rows(block)
    if not rows:
        return nothing_scored(task, block, "probe.label_ratios")
    simulated = " (SIMULATED)" if block["protocol"]["simulated"] else ""
    score = next(name for name in _SCORES if name in _of_persons(next(iter(rows[0]["scores"].values()))))
    title = f"<b>{plain(task)}: {spelled(score)} by training persons with known answers{simulated}</b>"
    points = {kind: [_point(row["scores"][kind], score) for row in rows] for kind in rows[0]["scores"]}
    return Section(title, [Panel("", partial(draw_shares, rows, points, score, coloured_as=_AS_FINETUNED))])


def _point(block: Mapping[str, Any], score: str) -> Point:
    found = _of_persons(block)[score]
    low, high = found["interval_95"]
    return found["pooled"], (low, high)


def _of_persons(block: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = block.get("persons", block)
    return found
