"""Node that pretrains an encoder."""

from pathlib import Path
from typing import Any

import pandas as pd

from eegfm.signal.config import SignalParams
from eegfm.store.reader import SignalStore
from eegfm.training.config import PretrainParams


def pretrain_encoder(
    mixture: pd.DataFrame,
    splits: pd.DataFrame,
    params: PretrainParams,
    signal: SignalParams,
    runs: Path,
    **stores: SignalStore,
) -> dict[str, Any]:
    """Pretrain on the mixture; the checkpoint's header says all that its user needs."""
    from eegfm.jobs.fit import fit_pretraining
    from eegfm.jobs.plots import history_figure, reconstruction_figure

    simulated = [corpus for corpus, store in stores.items() if store.is_simulated]
    filters = signal.model_dump(mode="json")
    done = fit_pretraining(mixture, stores, params, runs, splits=splits, filters=filters, simulated_corpora=simulated)
    return {
        "encoder": done.checkpoint,
        "metrics": done.metrics,
        "history": history_figure(done.history),
        "reconstructions": reconstruction_figure(done.reconstructions, simulated),
    }
