"""From a mixture and the stores to what a pretraining draws from."""

from dataclasses import dataclass

import pandas as pd

from eegfm.batch import SignalSpec
from eegfm.training.config import PretrainParams
from eegfm.training.data import corpus_weights, shared_filters, signal_spec, window_groups
from eegfm.training.loader import Stores, TrainingLoader, ValidationLoader
from eegfm.training.plan import Groups, MixturePlan
from eegfm.windows.mixture import mixture_sha256


@dataclass(frozen=True)
class TrainingData:
    """What a pretraining draws from."""

    spec: SignalSpec
    filters: dict[str, float | None]
    weights: dict[str, float]
    persons: list[str]
    mixture_sha256: str
    n_steps: int
    training: TrainingLoader
    validation: ValidationLoader
    shown: Groups  # windows to reconstruct: of persons that were not trained on, where there are any


def training_data(mixture: pd.DataFrame, stores: Stores, params: PretrainParams) -> TrainingData:
    """Address the windows of a mixture and plan the steps.

    Raises:
        ConfigError: Parameters and data do not fit.
        StoreError: A recording of the mixture is not in its store.
    """
    weights = corpus_weights(mixture)
    training = window_groups(mixture, stores, "pretrain")
    validation = window_groups(mixture, stores, "validation")
    plan = MixturePlan(training, weights, params.batch_size, params.seed)
    n_steps = params.n_steps or (params.n_epochs or 1) * plan.n_steps_per_epoch
    is_seen = mixture["split"].isin(["pretrain", "validation"])
    return TrainingData(
        spec=signal_spec(mixture, stores),
        filters=shared_filters(stores, weights),
        weights=weights,
        persons=sorted(str(person) for person in mixture.loc[is_seen, "person"].unique()),
        mixture_sha256=mixture_sha256(mixture),
        n_steps=n_steps,
        training=TrainingLoader(plan, stores, n_steps),
        validation=ValidationLoader(validation, stores, plan.counts, params.n_validation_windows),
        shown={**training, **validation},
    )
