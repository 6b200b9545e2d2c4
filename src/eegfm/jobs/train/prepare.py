"""Everything of a training before its first step: who may be trained on, windows, model, statistics."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd

from eegfm.checkpoint import Checkpoint
from eegfm.errors import ConfigError, TrainingError
from eegfm.inference.backbone import asked_backbone
from eegfm.inference.channels_left import with_channels_left
from eegfm.inference.encoder_code import encoder_code
from eegfm.jobs.train.data import TrainingData, training_data
from eegfm.jobs.train.fingerprint import named, run_identity, signals_of
from eegfm.jobs.train.header import pretrain_header
from eegfm.jobs.train.job import Refuse, TrainingJob, refuse_nothing
from eegfm.jobs.train.measured import measured_draws
from eegfm.jobs.train.start import Met, check_fit, check_persons, take_over
from eegfm.jobs.train.tokenizer import check_tokenizer
from eegfm.nn.context import Context, objective_seed
from eegfm.nn.rereference import Rereference
from eegfm.nn.weights import build_seeded
from eegfm.objectives.base import Objective
from eegfm.objectives.codes import check_tokens, codes_of
from eegfm.ranks.place import ALONE, Place
from eegfm.splits.leakage import SplitTable
from eegfm.store.stores import Stores
from eegfm.training.config import PretrainParams
from eegfm.training.freezing import check_freezing
from eegfm.training.loading.verify import readable
from eegfm.training.module import PretrainModule
from eegfm.training.setup import TrainingSetup
from eegfm.training.started import with_start
from eegfm.training.supervised.config import SupervisedParams
from eegfm.training.supervised.module import SupervisedModule

_N_STATISTICS_STEPS = 16


@dataclass(frozen=True)
class PreparedRun:
    """A training that is about to begin."""

    module: PretrainModule
    data: TrainingData
    stores: Stores
    fingerprint: str
    identity: dict[str, Any]


@dataclass(frozen=True)
class _Checked:
    """A training whose tables and parameters fit together, and that has its name.

    Args:
        job: What is done: its start has completed the parameters, and what cannot be read is left out.
        mixture: All of it, also what is not drawn from.
        split_table: Persons and their splits.
        met: Persons here that the start has seen.
        data: Windows of this process.
        fingerprint: Name of the run.
        identity: What the run is named by.
    """

    job: TrainingJob
    mixture: pd.DataFrame
    split_table: SplitTable
    met: Met
    data: TrainingData
    fingerprint: str
    identity: dict[str, Any]


def prepare(job: TrainingJob, place: Place = ALONE, refuse: Refuse = refuse_nothing) -> PreparedRun:
    """Check who may be trained on, address the windows, build the model, fit its statistics and load its start.

    Args:
        job: What is asked for.
        place: Place of this process: the windows are its part of them.
        refuse: Is called as soon as the run has its name, before the model is built.
    """
    checked = _checked(job, place, refuse)
    job, data = checked.job, checked.data
    params = job.params
    code = encoder_code(params.encoder, params.adapter, params.chosen_normalization)  # now: later edits do not count
    objective = _new_objective(params, data, job.tokenizer)
    report, fit_statistics = None, partial(_fit_statistics, objective, params, data)
    if job.start:
        report = take_over(objective, job, checked.met, fit_statistics)
    else:
        fit_statistics()
    objective.adapt()
    freeze = params.rules(objective)
    check_freezing(objective, freeze, data.n_steps, data.n_steps_per_epoch, job.phase)
    header = pretrain_header(
        job,
        data,
        objective,
        checked.split_table,
        fingerprint=checked.fingerprint,
        code=code,
        start_report=report,
    )
    if params.chosen_pairs is not None and data.validates:
        measured = measured_draws(
            checked.mixture, job.stores, data.spec, objective.encoder, params.n_validation_windows
        )
        data = replace(data, validation=data.validation.measuring(measured))
    setup = TrainingSetup(objective, params, data.weights, data.n_steps, data.n_steps_per_epoch, freeze)
    module = SupervisedModule if isinstance(params, SupervisedParams) else PretrainModule
    return PreparedRun(module(setup, header), data, job.stores, checked.fingerprint, checked.identity)


def named_run(job: TrainingJob, n_ranks: int, refuse: Refuse) -> str:
    """Return the fingerprint of a run on several devices, after every check that needs neither samples nor a model."""
    return _checked(job, Place(0, n_ranks), refuse, logs_plan=False).fingerprint  # the first rank logs the plan


def _checked(job: TrainingJob, place: Place, refuse: Refuse, *, logs_plan: bool = True) -> _Checked:
    """Check who may be trained on, address the windows, and name the run."""
    start, phase = job.start, job.phase
    params = with_start(job.params, start.header if start else None, phase)
    split_table = SplitTable(job.splits)
    split_table.check_training(job.mixture)
    met = check_persons(start.header, split_table, params, phase) if start else Met()
    stores = readable(job.stores, params.loader.verify)
    mixture = with_channels_left(job.mixture, stores, lambda m: Rereference(m, params.reference, params.bad_channels))
    check_tokenizer(job.tokenizer, split_table, params, mixture, stores, phase)
    data = training_data(
        mixture, stores, params, rank=place.rank, world_size=place.n_ranks, phase=phase, logs_plan=logs_plan
    )
    if params.publish == "best" and not data.validates:
        raise ConfigError(
            f"{phase}.publish is best, but the mixture has no window to validate on; choose publish: last, or keep "
            "persons for validation (split.validation_ratio)"
        )
    identity = run_identity(
        params,
        data,
        signals_of(data.mixture, stores),
        parents=[start] if start else [],
        tokenizer=job.tokenizer,
    )
    fingerprint = named(identity)
    refuse(fingerprint, identity)
    if start:
        check_fit(start, params, data, phase)
    job = replace(job, params=params, mixture=data.mixture, stores=stores)
    return _Checked(job, mixture, split_table, met, data, fingerprint, identity)


def _new_objective(params: PretrainParams, data: TrainingData, tokenizer: Checkpoint | None) -> Objective:
    """Build backbone and objective; their initial weights follow from the seed, global random state stays."""
    backbone = asked_backbone(params, data.spec)
    codes = codes_of(tokenizer, data.spec) if tokenizer else None
    if codes is not None:
        check_tokens(codes, backbone)
    given = () if codes is None else (codes,)
    objective = build_seeded(params.objective, objective_seed(params.seed), backbone, *given, labels=data.labels)
    assert isinstance(objective, Objective), f"{params.objective.implementation} is no Objective"
    return objective


def _fit_statistics(objective: Objective, params: PretrainParams, data: TrainingData) -> None:
    """Estimate statistics of the first steps.

    A run that goes on with more steps estimates those anew that no state holds, and must find the same: they are of
    as many steps of the plan whatever the length of the run.

    Raises:
        TrainingError: One is not finite. No step could be taken then, and its loss would not say why.
    """
    n_steps = _N_STATISTICS_STEPS if params.objective.estimates_anew else min(_N_STATISTICS_STEPS, data.n_steps)
    first_steps = range(n_steps)
    context = Context(n_steps=data.n_steps, seed=params.seed, corpora=tuple(sorted(data.weights)))
    objective.setup((batch for step in first_steps for batch in data.training.batches(step)), context)
    bad = [name for name, value in objective.own_state().items() if not value.isfinite().all()]
    if bad:
        raise TrainingError(
            f"statistics of the first {len(first_steps)} steps are not finite ({', '.join(bad[:3])}); look for "
            "non-finite samples or scales in the store, and ingest the corpus anew"
        )
