"""Check before a training what the probe of its encoder would refuse after it."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint, CheckpointHeader
from eegfm.evaluation.config import ProbeParams
from eegfm.inference.backbone import Backbone, asked_backbone, untrained_backbone_like
from eegfm.jobs.probe.features import check_encoder, spec_of
from eegfm.jobs.probe.probe import checked_trials
from eegfm.mixture.table import drawn_rows
from eegfm.store.reader import SignalStore
from eegfm.store.stores import Stores
from eegfm.training.config import PretrainParams
from eegfm.training.loading.groups import shared_filters, signal_spec


def check_ahead(
    mixture: pd.DataFrame,
    stores: Stores,
    params: PretrainParams,
    probed: Mapping[str, SignalStore],
    windows: Mapping[str, pd.DataFrame],
    splits: pd.DataFrame,
    probe_params: ProbeParams,
) -> None:
    """Refuse a training whose encoder the probe would refuse.

    Args:
        mixture: Windows that the training draws from.
        stores: Signal stores of the training, by corpus.
        params: Parameters of the training.
        probed: Signal stores by probed corpus.
        windows: Runs of windows by probed corpus.
        splits: Persons and their splits.
        probe_params: Parameters of the probe.

    Raises:
        SplitError: Persons, classes, folds or windows of the probe are too few, or montages too many.
        CheckpointError: Signals or windows of the probe do not fit the encoder.
        ConfigError: The encoder or the adapter does not fit the montages.
    """
    drawn = drawn_rows(mixture, params.drawn_cuts(map(str, mixture["corpus"].unique())))
    trained_on = signal_spec(drawn, stores)
    trained = asked_backbone(params, trained_on)
    header = _header(params, trained, trained_on, shared_filters(stores, stores))
    for trials in checked_trials(header, probed, windows, splits, probe_params):
        spec = spec_of(probed[trials.task.corpus], trials.windows)
        twin = untrained_backbone_like(Checkpoint({}, header), spec, probe_params.untrained_seed)
        check_encoder(header, twin, trials)


def _header(params: PretrainParams, trained: Backbone, spec: SignalSpec, filters: dict[str, Any]) -> CheckpointHeader:
    """Return the part of a header that the probe's checks read: who was trained on is not known yet."""
    read: dict[str, Any] = {
        "encoder": params.encoder.model_dump(mode="json"),
        "adapter": params.adapter.model_dump(mode="json"),
        "normalization": params.chosen_normalization.model_dump(mode="json"),
        "signal_spec": spec.to_dict(),
        "encoder_spec": trained.encoder_spec.to_dict(),
        "filters": filters,
        "reference": params.reference,
        "bad_channels": params.bad_channels,
    }
    return CheckpointHeader.model_construct(**read)
