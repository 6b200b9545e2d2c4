"""Node that trains an encoder in one phase."""

from pathlib import Path
from typing import Any

import pandas as pd

from eegfm.checkpoint import Checkpoint
from eegfm.errors import ConfigError
from eegfm.overwrite import refuse_trained, stored_run
from eegfm.splits.config import Roles
from eegfm.store.reader import SignalStore
from eegfm.training.config import PretrainParams


def train_encoder(
    mixture: pd.DataFrame,
    splits: pd.DataFrame,
    params: PretrainParams,
    runs: Path,
    encoder_file: Path,
    start: Checkpoint | None = None,
    phase: str = "pretrain",
    **stores: SignalStore,
) -> dict[str, Any]:
    """Train on the mixture, from a start or a seed; the checkpoint's header says all that its user needs."""
    from eegfm.jobs.train.pretrain import fit_pretraining
    from eegfm.plots.figures import history_figure, reconstruction_figure

    refuse = refuse_trained(encoder_file, runs, overwrite=params.overwrite, key=phase)
    stored = stored_run(encoder_file) if params.keep_runs else None
    done = fit_pretraining(
        mixture, stores, params, runs, splits=splits, phase=phase, start=start, refuse=refuse, stored=stored
    )
    header = done.checkpoint.header
    origin = {"corpora": header.corpora, "simulated_corpora": header.simulated_corpora}
    identity = {"seed": header.seed, "fingerprint": header.fingerprint, "mixture_sha256": header.mixture_sha256}
    n_kept_out = sum(map(len, (header.kept_out or {}).values()))
    splits_of = {"splits_sha256": header.splits_sha256, "n_persons_kept_out": n_kept_out}
    return {
        "encoder": done.checkpoint,
        "metrics": {**done.metrics, **origin, **identity, **splits_of},
        "history": history_figure(done.history, header.corpora, header.simulated_corpora),
        "reconstructions": reconstruction_figure(done.reconstructions, header.simulated_corpora),
    }


def refuse_pretraining(roles: Roles) -> None:
    """Say that there is nothing to pretrain on.

    Raises:
        ConfigError: Always.
    """
    probed = ", ".join(roles.probe)
    raise ConfigError(
        f"corpora.pretrain names no corpus (corpora.probe is [{probed}]), so there is nothing to pretrain on; name "
        "corpora there, or import an encoder: FOREIGN_WEIGHTS=FILE kedro run --pipelines=import_weights"
    )
