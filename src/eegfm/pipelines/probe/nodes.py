"""Node that probes a frozen encoder."""

from pathlib import Path
from typing import Any

import pandas as pd

from eegfm.checkpoint import Checkpoint
from eegfm.evaluation.config import ProbeParams


def probe_encoder(
    encoder: Checkpoint, splits: pd.DataFrame, params: ProbeParams, ledger: Path, **of_corpora: Any
) -> dict[str, Any]:
    """Predict the answers of persons that the encoder has never seen, beside controls.

    Signals and windows of the probed corpora are named ``<corpus>__signals`` and ``<corpus>__windows``.
    """
    from eegfm.jobs.probe.probe import probe
    from eegfm.plots.comparison import comparison_figure
    from eegfm.plots.label_efficiency import label_efficiency_figure

    parts: dict[str, dict[str, Any]] = {"signals": {}, "windows": {}}
    for name, value in of_corpora.items():
        corpus, what = name.split("__")
        parts[what][corpus] = value
    done = probe(encoder, parts["signals"], parts["windows"], splits, params, ledger)
    return {
        "metrics": done.metrics,
        "predictions": done.predictions,
        "comparison": comparison_figure(done.metrics),
        "label_efficiency": label_efficiency_figure(done.metrics),
    }
