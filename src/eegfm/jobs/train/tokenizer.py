"""Check the tokenizer whose codes a training predicts."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint
from eegfm.encoders.base import whole_samples
from eegfm.errors import CheckpointError, ConfigError
from eegfm.jobs.train.start import check_persons
from eegfm.objectives.codes import check_patch, tokenizer_config
from eegfm.splits.leakage import SplitTable
from eegfm.store.stores import Stores, store_of
from eegfm.training.config import PretrainParams
from eegfm.training.loading.groups import shared_filters

_AGAIN = "make it with: kedro run --pipelines=tokenizer"


def check_tokenizer(
    tokenizer: Checkpoint | None,
    splits: SplitTable,
    params: PretrainParams,
    mixture: pd.DataFrame,
    stores: Stores,
    phase: str,
) -> None:
    """Refuse a tokenizer that is missing or does not fit this training, whose encoder will know what it knows.

    Nothing but headers is looked at, so this comes before any data are read.

    Args:
        tokenizer: The tokenizer whose codes are predicted.
        splits: Persons and splits of this training.
        params: Choices; whether codes are predicted, and whether test persons are allowed.
        mixture: Windows to draw from.
        stores: Stores by corpus.
        phase: Name of the phase, for messages.

    Raises:
        ConfigError: Codes are to be predicted, and there is no tokenizer, or its patches are others; or corpora differ
            in their filters.
        CheckpointError: It is no tokenizer, or was trained on signals of another rate or with other filters.
        SplitError: It has seen test persons, and that is not allowed.
    """
    if tokenizer is None:
        if params.objective.needs_tokenizer:
            raise ConfigError(f"{phase}.objective.target is codes, and there is no tokenizer; {_AGAIN}")
        return
    header = tokenizer.header
    corpora = sorted(map(str, mixture["corpus"].unique()))
    rate_hz = store_of(stores, corpora[0]).rate_hz
    prepared = {"rate_hz": SignalSpec.from_dict(header.signal_spec).rate_hz, **header.filters}
    here = {"rate_hz": rate_hz, **shared_filters(stores, corpora)}
    if prepared != here:
        raise CheckpointError(
            f"the tokenizer was trained on signals with {prepared}, those of {phase} have {here}; {_AGAIN}"
        )
    tokenizer_config(header)
    own, other = (_patch_samples(encoder, rate_hz) for encoder in (header.encoder, params.encoder.model_dump()))
    if own is not None and other is not None:
        check_patch(own, other)
    check_persons(header, splits, params, phase, "predicts the codes of a tokenizer", _AGAIN)


def _patch_samples(encoder: Mapping[str, Any], rate_hz: float) -> int | None:
    """Samples of a patch by an encoder's configuration; None where that does not say it."""
    if "patch_samples" in encoder:
        return int(encoder["patch_samples"])
    return whole_samples(float(encoder["patch_s"]), rate_hz) if "patch_s" in encoder else None
