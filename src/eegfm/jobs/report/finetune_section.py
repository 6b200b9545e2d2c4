"""Section of the page about a finetuning."""

import html
from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from eegfm.jobs.report.finetune_rows import difference_rows, finetune_rows, group_rows, share_rows
from eegfm.jobs.report.html_tables import html_table, protocols_table
from eegfm.jobs.report.probe_rows import identity_rows
from eegfm.plots.finetuning.models import protocol_words
from eegfm.printable import printable

_SHARES = "label_efficiency"


def finetune_section(
    metrics: Mapping[str, Mapping[str, Any]], figures: Mapping[str, go.Figure], encoders: Mapping[str, str]
) -> list[str]:
    """Return the parts of the section: tables of each task, figures, protocols.

    Args:
        metrics: Metrics of a finetuning, by ``corpus.task``.
        figures: Its figures by what they show.
        encoders: Fingerprints of the encoders on the page, by phase.
    """
    parts = ["<h2>Finetuning</h2>"]
    for task, found in metrics.items():
        parts += _about_task(task, found, encoders)
    for what, figure in figures.items():
        if what == _SHARES and not figure.data:
            continue  # it is off, or the tables say why there is none
        heading = html.escape(f"Finetune: {what.replace('_', ' ')}")
        parts += [f"<h3>{heading}</h3>", figure.to_html(full_html=False, include_plotlyjs=False)]
    protocols = {task: _flat(found["protocol"]) for task, found in metrics.items()}
    return [*parts, "<h3>Protocol of the finetuning</h3>", protocols_table(protocols)]


def _about_task(task: str, found: Mapping[str, Any], encoders: Mapping[str, str]) -> list[str]:
    words = html.escape(protocol_words(found))
    parts = [f"<h3>Finetuning: {html.escape(printable(task))}</h3>", f"<p>Evaluation: {words}.</p>"]
    parts += _other_start(found["protocol"].get("start") or {}, encoders)
    parts.append(html_table(finetune_rows(found)))
    differences, groups, shares = difference_rows(found), group_rows(found), share_rows(found)
    if len(differences):
        level, metric = (html.escape(str(found[name]).replace("_", " ")) for name in ("level", "compared_by"))
        parts += [f"<p>Paired differences of {metric}, level {level}:</p>", html_table(differences)]
    audits = {model: scores["identity"] for model, scores in found["models"].items() if "identity" in scores}
    if audits:
        parts += ["<p>What features tell of persons:</p>", html_table(identity_rows(audits))]
    if len(shares):
        parts += ["<p>With a share of the training persons:</p>", html_table(shares)]
    if len(groups):
        fewest = found["groups"]["fewest_persons"]
        parts += [f"<p>By group; groups below {fewest} persons have no score:</p>", html_table(groups)]
    return parts


def _other_start(start: Mapping[str, Any], encoders: Mapping[str, str]) -> list[str]:
    """Say that a finetuning started from another encoder than the page tells of."""
    if not start or not encoders or start["fingerprint"] in encoders.values():
        return []
    told = html.escape(printable(f"{start['phase']} {start['fingerprint']}"))
    return [f"<p>The finetuning started from another encoder than this page tells of: {told}.</p>"]


def _flat(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Protocol with the values of what is asked, of the training and of its start as keys of their own."""
    inner = {
        f"{name} {key}".replace("_", " "): value
        for name in ("target", "tuning", "start")
        for key, value in (protocol.get(name) or {}).items()
    }
    named = {key: value.get("name", value) if isinstance(value, dict) else value for key, value in inner.items()}
    return {**protocol, **named}
