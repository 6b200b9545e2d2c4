"""Prepare the data of a pretraining from a mixture and the stores: windows, plan and signal specification."""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain

import pandas as pd
import torch

from eegfm.batch import SignalSpec
from eegfm.jobs.train.pairs import PairWindows, Validated, check_classes
from eegfm.mixture.labels import LabelFacts, chosen_labels
from eegfm.mixture.shares import batch_counts, rounded_weights
from eegfm.mixture.table import drawn_rows, mix_cut, mixture_sha256
from eegfm.nn.device import training_device
from eegfm.splits.leakage import check_rows
from eegfm.store.stores import Stores
from eegfm.training.config import PretrainParams
from eegfm.training.loading.groups import Mixing, shared_filters, signal_spec, window_groups
from eegfm.training.loading.residency import signals_on_device
from eegfm.training.loading.spread import spread_draws
from eegfm.training.loading.training_loader import TrainingLoader
from eegfm.training.loading.validation_loader import ValidationLoader
from eegfm.training.loading.verify import verify_samples
from eegfm.training.pairings import by_corpus, multiples, refuse_few_pairs
from eegfm.training.plans.mixture_plan import MixturePlan
from eegfm.training.plans.pairs.pair_plan import PairPlan
from eegfm.training.plans.plan import Groups, Plan
from eegfm.training.schedules.length import RunLength

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData:
    """Windows of a pretraining, and the facts about them."""

    mixture: pd.DataFrame  # the rows that are drawn from
    spec: SignalSpec
    filters: dict[str, float | None]
    weights: dict[str, float]
    mixture_sha256: str
    n_steps: int
    n_steps_per_epoch: int
    training: TrainingLoader
    validation: ValidationLoader
    validates: bool  # whether there is anything to validate on
    shown: Groups  # windows to reconstruct: of persons that were not trained on, where there are any
    held_out: Groups  # windows of split validation
    labels: dict[str, LabelFacts]  # of auxiliary heads


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
    mixing, cut = Mixing.of(mixture), mix_cut(mixture)
    mixture = drawn_rows(mixture, params.drawn_cuts(mixing.weights))
    mixture, labels = chosen_labels(mixture, params.objective.labels, says=logs_plan and rank == 0)
    if params.chosen_pairs is None:
        planned = _windows(mixture, mixing, stores, params, world_size)
    else:
        planned = _pairs(mixture, mixing, cut, stores, params, world_size, phase)
    training, validation = planned.training, planned.validation
    check_rows(training, validation)
    plan = planned.of_rank(rank=rank, world_size=world_size)
    if logs_plan:
        _log_plan(plan, planned.what)
    validated = planned.validated(plan.counts)
    loader = ValidationLoader(validated.draws, stores, rank=rank, world_size=world_size)
    n_steps = params.n_steps or (params.n_epochs or 1) * plan.n_steps_per_epoch
    n_validations = params.n_validations(n_steps) if validated.is_there else 0
    params.schedule.check(RunLength(n_steps, n_steps / plan.n_steps_per_epoch, n_validations))
    if params.loader.verify == "before_training":
        verify_samples([*chain(*training.values(), *validation.values())], stores, rank=rank, world_size=world_size)
    whole = None if world_size == 1 else planned.of_rank(rank=0, world_size=1)
    return TrainingData(
        mixture=mixture,
        spec=signal_spec(mixture, stores),
        filters=shared_filters(stores, planned.weights),
        weights=planned.weights,
        mixture_sha256=mixture_sha256(mixture),
        n_steps=n_steps,
        n_steps_per_epoch=plan.n_steps_per_epoch,
        training=_loader(plan, whole, training, stores, n_steps, params, phase),
        validation=loader,
        validates=validated.is_there,
        shown={**training, **validation},
        held_out=validation,
        labels=labels,
    )


@dataclass(frozen=True)
class _Planned:
    """Windows to draw from, and the plans that draw them.

    Args:
        weights: Share of each corpus in a step.
        training: Windows to train on.
        validation: Windows to validate on.
        of_rank: Makes the plan of a rank.
        validated: Makes the micro-batches of a validation, by corpus, from the windows of each corpus in a step.
        what: What a plan goes through, for the log.
    """

    weights: dict[str, float]
    training: Groups
    validation: Groups
    of_rank: Callable[..., MixturePlan | PairPlan]
    validated: Callable[[Mapping[str, int]], Validated]
    what: str


def _windows(
    mixture: pd.DataFrame, mixing: Mixing, stores: Stores, params: PretrainParams, world_size: int
) -> _Planned:
    """Windows one by one."""
    weights = mixing.weights
    if mixing.is_rounded:
        weights = rounded_weights(weights, params.batch_size, world_size, params.accumulate)
    training, validation = (window_groups(mixture, stores, split) for split in ("train", "validation"))
    plan = partial(
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

    def validated(counts: Mapping[str, int]) -> Validated:
        draws = spread_draws(validation, counts, params.n_validation_windows)
        return Validated(bool(draws), lambda: draws)

    what = "rounds of its persons" if mixing.drawn_by == "persons" else "passes through its windows"
    return _Planned(weights, training, validation, plan, validated, what)


def _pairs(
    mixture: pd.DataFrame,
    mixing: Mixing,
    cut: str,
    stores: Stores,
    params: PretrainParams,
    world_size: int,
    phase: str,
) -> _Planned:
    """Pairs of windows."""
    assert params.chosen_pairs is not None, "the objective trains on pairs"
    pairings = by_corpus(params.chosen_pairs, mixing.weights)
    if mixing.drawn_by == "persons" or mixing.max_windows_per_person is not None:
        logger.warning(
            "mix.by: persons and mix.max_windows_per_person say how windows are drawn; pairs do not heed them"
        )
    if params.objective.needs_classes:
        check_classes(mixture, cut, pairings, phase)
    whole = multiples(pairings, world_size)

    def weights_of(batch_size: int) -> dict[str, float]:
        if not mixing.is_rounded:
            return mixing.weights
        return rounded_weights(mixing.weights, batch_size, world_size, multiple=math.lcm(*whole.values()))

    def counts_of(batch_size: int) -> dict[str, int]:
        return batch_counts(weights_of(batch_size), batch_size, world_size, multiples=whole)

    weights, counts = weights_of(params.batch_size), counts_of(params.batch_size)
    refuse_few_pairs(params.objective.name, params.objective.least_pairs, params.batch_size, counts_of)
    training, validation = (PairWindows(mixture, cut, stores, split, pairings) for split in ("train", "validation"))
    plan = partial(PairPlan, training.sources(counts, params.seed), params.seed)
    validated = partial(validation.validation, n_windows=params.n_validation_windows, seed=params.seed)
    what = "passes through its pairs"
    return _Planned(weights, training.groups, validation.groups, plan, validated, what)


def _loader(
    plan: Plan,
    whole: Plan | None,
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


def _log_plan(plan: MixturePlan | PairPlan, what: str) -> None:
    """Say once what a step and an epoch hold, and which corpora come round again within an epoch."""
    counts = ", ".join(f"{corpus} {count}" for corpus, count in plan.counts.items())
    passes = ", ".join(f"{corpus} {n:.3g}" for corpus, n in plan.passes_per_epoch.items())
    again = sorted(corpus for corpus, n in plan.passes_per_epoch.items() if n > 1)
    cycling = f"; shuffled anew when it runs out: {', '.join(again)}" if again else ""
    logger.info(
        "Windows per step: %s. Epoch: %d steps, %s: %s%s", counts, plan.n_steps_per_epoch, what, passes, cycling
    )
