"""Node that writes the page about a run."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from eegfm.jobs.report.config import ReportParams


def compare_probes(**probes: dict[str, Any]) -> dict[str, Any]:
    """Compare the probes of all phases, by phase in the order of training."""
    from eegfm.evaluation.phases import compare_phases
    from eegfm.plots.phases import phases_figure

    compared = compare_phases(probes)
    return {"metrics": compared, "comparison": phases_figure(compared)}


def write_report(params: ReportParams, splits: pd.DataFrame, mixture: pd.DataFrame | None = None, **parts: Any) -> str:
    """Collect tables, metrics and figures, named ``<corpus, phase or probe>__<what>``; absent parts are None."""
    from eegfm.jobs.report.report import build_report

    corpora: dict[str, dict[str, pd.DataFrame]] = {}
    metrics: dict[str, dict[str, Any]] = {}
    figures: dict[str, dict[str, go.Figure]] = {}
    for name, value in parts.items():
        owner, what = name.split("__")
        if isinstance(value, pd.DataFrame):
            corpora.setdefault(owner, {})[what] = value
        elif value is None:
            continue
        elif what in ("metrics", "report"):
            metrics[owner] = value
        else:
            figures.setdefault(owner, {})[what] = value
    return build_report(params.title, corpora, splits, mixture, metrics, figures)
