"""Pretrain an encoder on a mixture. The job returns a checkpoint and its numbers."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from eegfm.checkpoint import Checkpoint
from eegfm.files import write_atomically
from eegfm.jobs.train.devices import n_ranks, with_devices
from eegfm.jobs.train.fit import fit, run_metrics
from eegfm.jobs.train.launch import fit_on_ranks
from eegfm.jobs.train.prepare import Refuse, prepare
from eegfm.jobs.train.reconstruct import reconstruct, shown_windows
from eegfm.jobs.train.result import PretrainResult
from eegfm.jobs.train.runs import prune
from eegfm.nn.device import training_device
from eegfm.store.stores import Stores
from eegfm.training.bfloat16 import check_bfloat16
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
    run = prepare(params, mixture, splits, stores, phase=phase, start=start, tokenizer=tokenizer)
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
    refuse: Refuse = lambda fingerprint, identity: None,
    stored: str | None = None,
    place: tuple[int, int] | None = None,
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
        place: Number of this process and number of processes, if it is one of several that share this training.

    Returns:
        The result. Metrics: ``train_loss`` and ``train_r2`` (mean over the last tenth of the history),
        ``val_loss``, ``val_baseline_loss``, ``val_r2`` and further ones of the objective (where there are validation
        windows) with one of each per corpus, ``best_val_loss`` and ``best_step``, ``n_steps``, ``published_step``,
        ``n_skipped_steps``, ``n_windows``, ``n_parameters``, ``n_adapter_parameters``, ``windows_per_s``,
        ``corpus_ratio_<corpus>`` as realised; with a start ``n_matched``, ``n_missing`` and ``n_unexpected`` weights,
        ``n_test_persons_of_start`` and ``n_validation_persons_of_start``.

    Raises:
        ConfigError: Parameters and data, or parameters and start, do not fit.
        CheckpointError: Weights of the start do not fit.
        TrainingError: The loss is not finite, the run was stopped early, or the CPU computes wrong in bfloat16.
        StoreError: A recording of the mixture is not in its store, or its samples differ from their checksums.
        SplitError: The mixture draws from a person who is kept out of training, or validates on one it trains on.
    """
    if params.precision == "bf16-mixed":
        check_bfloat16(training_device(params.accelerator, f"{phase}.accelerator"))
    params = with_devices(params, phase)
    if place is None and n_ranks(params) > 1:
        result = fit_on_ranks(
            mixture,
            stores,
            params,
            run_directory,
            splits=splits,
            phase=phase,
            start=start,
            tokenizer=tokenizer,
            refuse=refuse,
        )
    else:
        result = _fit_here(
            mixture,
            stores,
            params,
            run_directory,
            splits,
            phase=phase,
            start=start,
            tokenizer=tokenizer,
            refuse=refuse,
            place=place or (0, 1),
        )
    if place is None and params.keep_runs is not None:
        prune(run_directory, params.keep_runs, {result.run_directory.name} | ({stored} if stored else set()))
    return result


def _fit_here(
    mixture: pd.DataFrame,
    stores: Stores,
    params: PretrainParams,
    run_directory: Path,
    splits: pd.DataFrame,
    *,
    phase: str,
    start: Checkpoint | None,
    tokenizer: Checkpoint | None,
    refuse: Refuse,
    place: tuple[int, int],
) -> PretrainResult:
    """Train in this process, alone or as one of several."""
    run = prepare(params, mixture, splits, stores, refuse, phase=phase, start=start, tokenizer=tokenizer, place=place)
    module, data = run.module, run.data
    directory = run_directory / run.fingerprint
    if place[0] == 0:
        _write_params(directory, module.params, run.identity)
    fitted = fit(module, data, directory, run.identity, shown_windows(data, run.stores), place)
    module = module.cpu().eval()
    with module.averaged_weights():
        reconstructions = reconstruct(module.objective, data, run.stores, params.seed)
    checkpoint = fitted.published.checkpoint()
    assert module.header is not None, "prepare describes the run"
    # The state may be older than these choices: they decide no weight.
    said = {"license": module.header.license, "published": params.publish}
    return PretrainResult(
        checkpoint=replace(checkpoint, header=checkpoint.header.model_copy(update=said)),
        metrics=run_metrics(module, fitted),
        history=module.history.table(),
        reconstructions=reconstructions,
        run_directory=directory,
    )


def _write_params(directory: Path, params: PretrainParams, identity: dict[str, Any]) -> None:
    """Write the parameters, and what the run is named by. ``eegfm.overwrite`` tells from that how two runs differ."""
    content = {"params": params.model_dump(mode="json"), "mixture_sha256": identity["mixture"], "identity": identity}
    write_atomically(directory / "params.json", (json.dumps(content, indent=2) + "\n").encode())
