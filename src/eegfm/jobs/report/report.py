"""Write one self-contained HTML page about a run: data, training, probe."""

import html
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from eegfm import __version__
from eegfm.errors import LineageError
from eegfm.jobs.ingest.tables import count_flags
from eegfm.jobs.report.finetune_section import finetune_section
from eegfm.jobs.report.html_tables import html_table, protocol_table, protocols_table
from eegfm.jobs.report.phases_section import phases_section
from eegfm.jobs.report.probe_rows import audit_rows, efficiency_rows, probe_rows
from eegfm.plots.text import looks_before
from eegfm.printable import printable

_MOST_ROWS = 200
"""Rows of one table on the page; all of them are in the catalog."""
_IMPORT, _PROBE, _FINETUNE, _COMPARED = "import_weights", "probe", "finetune", "phases"
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ccc;padding:.25em .6em;text-align:right}
th:first-child,td:first-child{text-align:left}
.simulated{background:#fff3cd;padding:.6em 1em;border-left:4px solid #e0a800}
"""


def build_report(
    title: str,
    corpora: Mapping[str, Mapping[str, pd.DataFrame]],
    splits: pd.DataFrame,
    mixture: pd.DataFrame | None,
    metrics: Mapping[str, Mapping[str, Any]],
    figures: Mapping[str, Mapping[str, go.Figure]],
) -> str:
    """Write the page.

    Args:
        title: Heading.
        corpora: Tables ``recordings``, ``rejected``, ``windows``, ``window_counts``, ``ingest_summary``, ``montages``
            and ``unknown_channels``, by corpus.
        splits: Persons and their splits.
        mixture: Windows that training drew from; None for an encoder that was imported.
        metrics: Metrics by phase, in their order; under ``import_weights`` the report of an import. Under ``probe``
            metrics of the probe of the last phase, by ``corpus.task``; under ``<phase>_probe`` of others; under
            ``finetune`` of a finetuning, by ``corpus.task``; under ``phases`` the comparison of the phases' probes.
        figures: Plotly figures by the same names and by what they show.

    Returns:
        HTML that needs no other file and no network.

    Raises:
        LineageError: A probe was made with another encoder.
    """
    phases = _phases(metrics)
    for phase, probe in phases.items():
        _refuse_other_encoder(metrics, phase, probe)
    simulated = sorted(c for c, tables in corpora.items() if tables["recordings"]["simulated"].any())
    parts = [f"<h1>{html.escape(title)}{' (SIMULATED)' if len(simulated) == len(corpora) else ''}</h1>"]
    if simulated:
        parts.append(f'<p class="simulated">SIMULATED recordings: {html.escape(", ".join(simulated))}.</p>')
    parts += ["<h2>Recordings</h2>", html_table(pd.DataFrame([_corpus_row(c, t) for c, t in corpora.items()]))]
    for corpus, tables in corpora.items():
        parts += _about_corpus(html.escape(corpus), tables)
    parts += ["<h2>Persons by split</h2>", html_table(_counts(splits.assign(persons=1), "persons"))]
    if mixture is not None:
        windows = _counts(mixture.rename(columns={"n_windows": "windows"}), "windows")
        parts += ["<h2>Windows of the mixture</h2>", html_table(windows)]
    if "import_weights" in metrics:
        parts += _about_import(metrics["import_weights"])
    if any(figures.values()):
        parts.append(_plotly())
    parts += phases_section(metrics.get(_COMPARED, {}), figures.get(_COMPARED, {}))
    for phase, probe in phases.items():
        parts += _about_phase(phase, probe, metrics, figures, is_only=len(phases) == 1)
    if _FINETUNE in metrics:
        encoders = {
            phase: str(metrics[phase]["fingerprint"]) for phase in phases if "fingerprint" in metrics.get(phase, {})
        }
        parts += finetune_section(metrics[_FINETUNE], figures.get(_FINETUNE, {}), encoders)
    parts.append(f"<p>eegfm {__version__}, written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC</p>")
    body = "\n".join(parts)
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{html.escape(title)}</title>"
        f"<style>{_STYLE}</style></head><body>{body}</body></html>"
    )


def _plotly() -> str:
    """Plotly's library, once, so that the page works without a network."""
    return f"<script>window.PlotlyConfig = {{MathJaxConfig: 'local'}};</script><script>{get_plotlyjs()}</script>"


def _phases(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """By phase of which there are metrics or a probe, the name of its probe."""
    ending = f"_{_PROBE}"
    named = [name.removesuffix(ending) for name in metrics if name not in (_IMPORT, _PROBE, _FINETUNE, _COMPARED)]
    phases = {name: f"{name}{ending}" for name in named}
    if named:
        return phases | {named[-1]: _PROBE}
    # An imported encoder has no metrics of a training.
    return phases | ({_IMPORT: _PROBE} if _PROBE in metrics else {})


def _about_phase(
    phase: str,
    probe: str,
    metrics: Mapping[str, Mapping[str, Any]],
    figures: Mapping[str, Mapping[str, go.Figure]],
    *,
    is_only: bool,
) -> list[str]:
    """Probe, figures and numbers of a phase. The only phase needs no heading of its own."""
    level = "h2" if is_only else "h3"
    parts = [] if is_only else [f"<h2>Phase {html.escape(phase)}</h2>"]
    for task, found in metrics.get(probe, {}).items():
        parts += [f"<{level}>Probe: {html.escape(printable(task))}</{level}>", html_table(probe_rows(found))]
        parts.append(f"<p>{html.escape(looks_before(found['protocol']['n_looks_before'])).capitalize()}.</p>")
        parts += [html_table(rows) for rows in (audit_rows(found), efficiency_rows(found)) if len(rows)]
    for owner, what, figure in ((name, *one) for name in (phase, probe) for one in figures.get(name, {}).items()):
        if not figure.data:
            continue  # label efficiency is off
        heading = html.escape(f"{owner.replace('_', ' ').capitalize()}: {what.replace('_', ' ')}")
        parts += [f"<{level}>{heading}</{level}>", figure.to_html(full_html=False, include_plotlyjs=False)]
    if phase in metrics and phase != _IMPORT:
        parts += [f"<{level}>Training in numbers</{level}>", protocol_table(metrics[phase])]
    if probe in metrics:
        protocols = {task: found["protocol"] for task, found in metrics[probe].items()}
        parts += [f"<{level}>Protocol of the probe</{level}>", protocols_table(protocols)]
    return parts


def _about_corpus(corpus: str, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Outcomes of a corpus's files, and the contents of the corpus."""
    parts = [f"<h3>Files of {corpus}</h3>", html_table(tables["ingest_summary"])]
    parts += [f"<h3>Montages of {corpus}</h3>", html_table(tables["montages"])]
    parts += [f"<h3>Windows of {corpus}</h3>", html_table(_window_counts(tables["window_counts"]))]
    headings = {"unknown_channels": "Channel labels that are no electrode", "rejected": "Rejected files"}
    for name, heading in headings.items():
        shown = tables[name].head(_MOST_ROWS)
        if len(shown):
            more = f"<p>The first {len(shown)} of {len(tables[name])}.</p>" if len(shown) < len(tables[name]) else ""
            parts += [f"<h3>{heading} of {corpus}</h3>", html_table(shown), more]
    return parts


def _about_import(report: Mapping[str, Any]) -> list[str]:
    """Return where an imported encoder is from, and how many of its weights were found in the file."""
    outcomes = ("matched", "missing", "unexpected", "mismatched", "left_out", "resized")
    facts = {
        name: report[name] for name in ("file", "file_sha256", "source", "license", "fingerprint") if name in report
    }
    facts |= {f"weights {name}": len(report[name]) for name in outcomes if name in report}
    return [
        "<h2>Imported encoder</h2>",
        "<p>The encoder was trained elsewhere and imported. There is no history of its training and no reconstruction."
        "</p>",
        protocol_table(facts),
    ]


def _window_counts(counts: pd.DataFrame) -> pd.DataFrame:
    """One row per cut, whole numbers without decimals."""
    wide = counts.pivot(index="cut", columns="what", values="count")[list(dict.fromkeys(counts["what"]))]
    shown = wide.map(lambda n: "" if pd.isna(n) else f"{n:.2f}" if n % 1 else f"{n:.0f}")
    return shown.reset_index().rename_axis(columns=None)


def _refuse_other_encoder(metrics: Mapping[str, Mapping[str, Any]], phase: str, probe: str) -> None:
    """Refuse a probe that was made with another encoder than the one on the page."""
    shown = next((metrics[name].get("fingerprint") for name in (phase, _IMPORT) if name in metrics), None)
    for found in metrics.get(probe, {}).values():
        probed = found["protocol"]["pretraining"]["fingerprint"]
        if shown not in (None, probed):
            raise LineageError(
                f"two generations: the probe was made with encoder {probed}, the encoder is {shown}; make it anew "
                f"with: kedro run --pipelines={probe}"
            )


def _corpus_row(corpus: str, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    recordings = tables["recordings"]
    hours = (recordings["n_samples"] / recordings["rate_hz"]).sum() / 3600
    return {
        "corpus": corpus,
        "persons": recordings["person"].nunique(),
        "recordings": len(recordings),
        "hours": round(float(hours), 2),
        "flags": count_flags(recordings),
        "rejected files": len(tables["rejected"]),
        "windows": int(tables["windows"]["n_windows"].sum()),
    }


def _counts(table: pd.DataFrame, what: str) -> pd.DataFrame:
    counts = table.groupby(["corpus", "split"], observed=True)[what].sum().reset_index()
    wide = counts.pivot_table(index="corpus", columns="split", values=what, fill_value=0).astype(int)
    # A name of the columns would become an extra cell in HTML.
    return wide.reset_index().rename_axis(columns=None)
