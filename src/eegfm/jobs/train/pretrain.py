"""Pretrain an encoder on a mixture. The job returns a checkpoint and its numbers."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from eegfm.checkpoint import Checkpoint
from eegfm.jobs.train.data import TrainingData
from eegfm.jobs.train.devices import for_this_machine, n_ranks
from eegfm.jobs.train.fit import fit, run_metrics
from eegfm.jobs.train.held_out import held_out_scores
from eegfm.jobs.train.job import Refuse, TrainingJob, refuse_nothing
from eegfm.jobs.train.launch import fit_on_ranks
from eegfm.jobs.train.prepare import prepare
from eegfm.jobs.train.reconstruct import reconstruct
from eegfm.jobs.train.result import PretrainResult
from eegfm.jobs.train.runs import prune, write_params
from eegfm.nn.device import training_device
from eegfm.ranks.place import ALONE, Place
from eegfm.store.stores import Stores
from eegfm.training.config import PretrainParams
from eegfm.training.data_module import WindowData
from eegfm.training.module import PretrainModule


def pretraining(
    params: PretrainParams,
    mixture: pd.DataFrame,
    splits: pd.DataFrame,
    stores: Stores,
    *,
    phase: str = "pretrain",
    start: Checkpoint | None = None,
    tokenizer: Checkpoint | None = None,
) -> tuple[PretrainModule, WindowData]:
    """Build the Lightning module of a pretraining and its data, for a trainer of the caller's own.

    ``lightning.Trainer(max_epochs=1).fit(module, datamodule=data)`` takes all steps: one Lightning epoch is the whole
    training. ``module.save_encoder`` writes the encoder.

    Args:
        params: All choices.
        mixture: Windows to draw from, see ``eegfm.mixture.table.mix_windows``.
        splits: Persons and their splits; the mixture is checked against it, and the header says who was trained on.
        stores: Signal stores by corpus.
        phase: Name of the phase.
        start: Encoder to start from; None for weights from the seed.
        tokenizer: Tokenizer whose codes the objective predicts; None where it predicts none.

    Raises:
        ConfigError: Parameters and data, or parameters and start, do not fit.
        CheckpointError: Weights of the start do not fit.
        StoreError: A recording of the mixture is not in its store, or its samples differ from their checksums.
        SplitError: The mixture draws from a person who is kept out of training, or validates on one it trains on.
    """
    run = prepare(TrainingJob(params, mixture, splits, stores, phase, start, tokenizer))
    return run.module, WindowData(run.data.training, run.data.validation)


def fit_pretraining(
    mixture: pd.DataFrame,
    stores: Stores,
    params: PretrainParams,
    run_directory: Path,
    *,
    splits: pd.DataFrame,
    phase: str = "pretrain",
    start: Checkpoint | None = None,
    tokenizer: Checkpoint | None = None,
    refuse: Refuse = refuse_nothing,
    stored: str | None = None,
) -> PretrainResult:
    """Pretrain an encoder on a mixture, on all devices that the parameters ask for.

    Args:
        mixture: Windows to draw from, see ``eegfm.mixture.table.mix_windows``.
        stores: Signal stores by corpus.
        params: All choices.
        run_directory: Runs lie here side by side, each in a folder named by a fingerprint of its parameters,
            its mixture, the samples and filters of its signals, and its code.
        splits: Persons and their splits; the mixture is checked against it, and the header says who was trained on.
        phase: Name of the phase, for the header and for messages.
        start: Encoder to start from; it decides what the parameters leave out. None for weights from the seed.
        tokenizer: Tokenizer whose codes the objective predicts; None where it predicts none.
        refuse: Is called as soon as the run has its name, before the model is built.
        stored: Name of the run whose encoder is stored, and whose folder ``keep_runs`` does not remove.

    Raises:
        ConfigError: Parameters and data, or parameters and start, do not fit.
        CheckpointError: Weights of the start do not fit.
        TrainingError: The loss is not finite, the run was stopped early, or the CPU computes wrong in bfloat16.
        StoreError: A recording of the mixture is not in its store, or its samples differ from their checksums.
        SplitError: The mixture draws from a person who is kept out of training, or validates on one it trains on.
    """
    job = TrainingJob(params, mixture, splits, stores, phase, start, tokenizer)
    return fit_training(job, run_directory, refuse, stored)


def fit_training(
    job: TrainingJob, run_directory: Path, refuse: Refuse = refuse_nothing, stored: str | None = None
) -> PretrainResult:
    """Do a training, on all devices that its parameters ask for; see ``fit_pretraining``."""
    job, params = replace(job, params=for_this_machine(job.params, job.phase)), job.params
    fit_job = fit_on_ranks if n_ranks(job.params) > 1 else fit_here
    result = fit_job(job, run_directory, refuse)
    if params.keep_runs is not None:
        prune(run_directory, params.keep_runs, {result.run_directory.name} | ({stored} if stored else set()))
    return result


def fit_here(job: TrainingJob, runs: Path, refuse: Refuse = refuse_nothing, place: Place = ALONE) -> PretrainResult:
    """Pretrain in this process, alone or as one of several.

    Args:
        job: What is asked for; its devices are counted.
        runs: Folder of all runs.
        refuse: Is called as soon as the run has its name, before the model is built.
        place: Place of this process.

    Raises:
        EegfmError: See ``fit_pretraining``.
    """
    run = prepare(job, place, refuse)
    module, data = run.module, run.data
    directory = runs / run.fingerprint
    if place.is_first:
        write_params(directory, module.params.model_dump(mode="json"), run.identity, data.n_steps)
    fitted = fit(run, directory, place)
    module = module.cpu().eval()
    with module.averaged_weights():
        reconstructions = reconstruct(module.objective, data, run.stores, job.params.seed)
        scores = _held_out(module, data, run.stores) if place.is_first else {}
    checkpoint = fitted.published.checkpoint()
    assert module.header is not None, "prepare describes the run"
    # The state may be older than these choices: they decide no weight.
    said = {"license": module.header.license, "published": job.params.publish, "start": module.header.start}
    return PretrainResult(
        checkpoint=replace(checkpoint, header=checkpoint.header.model_copy(update=said)),
        metrics=run_metrics(module, fitted) | scores,
        history=module.history.table(),
        reconstructions=reconstructions,
        run_directory=directory,
    )


def _held_out(module: PretrainModule, data: TrainingData, stores: Stores) -> dict[str, float]:
    """Scores of auxiliary heads on persons for validation, computed where the training was."""
    scores = held_out_scores(
        module.objective, data.held_out, stores, training_device(module.params.accelerator), module.params.seed
    )
    module.cpu()
    return scores
