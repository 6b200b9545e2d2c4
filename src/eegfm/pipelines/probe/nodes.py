"""Node that probes a frozen encoder."""

from typing import Any

import pandas as pd

from eegfm.checkpoint import Checkpoint
from eegfm.evaluation.config import ProbeParams
from eegfm.store.reader import SignalStore


def probe_encoder(
    encoder: Checkpoint, signals: SignalStore, windows: pd.DataFrame, splits: pd.DataFrame, params: ProbeParams
) -> dict[str, Any]:
    """Classify the labelled windows of persons that the encoder has never seen, next to two controls."""
    from eegfm.jobs.probe.probe import probe
    from eegfm.plots.figures import comparison_figure

    done = probe(encoder, signals, windows, splits, params)
    return {
        "metrics": done.metrics,
        "predictions": done.predictions,
        "comparison": comparison_figure(done.metrics),
    }
