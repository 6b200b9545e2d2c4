"""Prepare the data of a pretraining from a mixture and the stores: windows, plan and signal specification."""

import logging
from dataclasses import dataclass
from functools import partial
from itertools import chain

import pandas as pd
import torch

from eegfm.batch import SignalSpec
from eegfm.mixture.shares import rounded_weights
from eegfm.mixture.table import mixture_sha256
from eegfm.nn.device import training_device
from eegfm.splits.leakage import check_rows
from eegfm.store.stores import Stores
from eegfm.training.config import PretrainParams
from eegfm.training.loading.groups import Mixing, shared_filters, signal_spec, window_groups
from eegfm.training.loading.loader import TrainingLoader, ValidationLoader
from eegfm.training.loading.residency import signals_on_device
from eegfm.training.loading.verify import verify_samples
from eegfm.training.plans.mixture_plan import MixturePlan
from eegfm.training.plans.plan import Groups
from eegfm.training.schedules.length import RunLength

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData:
    """Windows of a pretraining, and the facts about them."""

    spec: SignalSpec
    filters: dict[str, float | None]
    weights: dict[str, float]
    mixture_sha256: str
    n_steps: int
    n_steps_per_epoch: int
    training: TrainingLoader
    validation: ValidationLoader
    shown: Groups  # windows to reconstruct: of persons that were not trained on, where there are any


def training_data(
    mixture: pd.DataFrame,
    stores: Stores,
    params: PretrainParams,
    *,
    rank: int = 0,
    world_size: int = 1,
    phase: str = "pretrain",
    logs_plan: bool = True,
) -> TrainingData:
    """Address the windows of a mixture and plan the steps.

    Args:
        mixture: The runs to draw from, see ``eegfm.mixture.table.mix_windows``.
        stores: Signal stores by corpus.
        params: All choices.
        rank: Number of this process.
        world_size: Number of processes.
        phase: Name of the phase, for messages.
        logs_plan: Whether to say what a step and an epoch hold.

    Raises:
        ConfigError: Parameters and data do not fit.
        StoreError: A recording of the mixture is not in its store, or its samples differ from their checksums.
        SplitError: Windows to train on and to validate on share samples.
    """
    mixing = Mixing.of(mixture)
    weights = _weights(mixing, params, world_size)
    training, validation = (window_groups(mixture, stores, split) for split in ("train", "validation"))
    check_rows(training, validation)
    of_rank = partial(
        MixturePlan,
        training,
        weights,
        params.batch_size,
        params.seed,
        drawn_by=mixing.drawn_by,
        max_windows_per_person=mixing.max_windows_per_person,
        shuffle=params.shuffle,
        n_cuts=params.accumulate,
    )
    place = {"rank": rank, "world_size": world_size}
    plan = of_rank(rank=rank, world_size=world_size)
    if logs_plan:
        _log_plan(plan, mixing.drawn_by)
    n_steps = params.n_steps or (params.n_epochs or 1) * plan.n_steps_per_epoch
    _check_schedule(params, n_steps, plan, validates=any(validation.values()))
    if params.loader.verify == "before_training":
        verify_samples([*chain(*training.values(), *validation.values())], stores, **place)
    return TrainingData(
        spec=signal_spec(mixture, stores),
        filters=shared_filters(stores, weights),
        weights=weights,
        mixture_sha256=mixture_sha256(mixture),
        n_steps=n_steps,
        n_steps_per_epoch=plan.n_steps_per_epoch,
        training=_loader(plan, None if world_size == 1 else of_rank(), training, stores, n_steps, params, phase),
        validation=ValidationLoader(validation, stores, plan.counts, params.n_validation_windows, **place),
        shown={**training, **validation},
    )


def _loader(
    plan: MixturePlan,
    whole: MixturePlan | None,
    groups: Groups,
    stores: Stores,
    n_steps: int,
    params: PretrainParams,
    phase: str,
) -> TrainingLoader:
    device, loader = training_device(params.accelerator, f"{phase}.accelerator"), params.loader
    if whole is not None and device.type == "cuda":  # the threads of the loader do not know the process's own device
        device = torch.device("cuda", torch.cuda.current_device())
    return TrainingLoader(
        plan,
        stores,
        n_steps,
        n_cuts=params.accumulate,
        n_ahead=loader.n_ahead,
        read_ahead_steps=loader.read_ahead_steps,
        device=device,
        device_signals=signals_on_device(groups, stores, device, loader.residency, loader.device_memory_ratio),
        whole=whole,
    )


def _weights(mixing: Mixing, params: PretrainParams, world_size: int) -> dict[str, float]:
    """Share of each corpus in every step."""
    if not mixing.is_rounded:
        return mixing.weights
    return rounded_weights(mixing.weights, params.batch_size, world_size, params.accumulate)


def _check_schedule(params: PretrainParams, n_steps: int, plan: MixturePlan, *, validates: bool) -> None:
    """Refuse a schedule that the run cannot go through, now that the data tell how long it is."""
    n_validations = params.n_validations(n_steps) if validates else 0
    params.schedule.check(RunLength(n_steps, n_steps / plan.n_steps_per_epoch, n_validations))


def _log_plan(plan: MixturePlan, drawn_by: str) -> None:
    """Say once what a step and an epoch hold, and which corpora come round again within an epoch."""
    counts = ", ".join(f"{corpus} {count}" for corpus, count in plan.counts.items())
    what = "rounds of its persons" if drawn_by == "persons" else "passes through its windows"
    passes = ", ".join(f"{corpus} {n:.3g}" for corpus, n in plan.passes_per_epoch.items())
    again = sorted(corpus for corpus, n in plan.passes_per_epoch.items() if n > 1)
    cycling = f"; shuffled anew when it runs out: {', '.join(again)}" if again else ""
    logger.info(
        "Windows per step: %s. Epoch: %d steps, %s: %s%s", counts, plan.n_steps_per_epoch, what, passes, cycling
    )
