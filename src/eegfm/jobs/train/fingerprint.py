"""Fingerprint of a training run: a hash of everything that decides its weights."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from eegfm.checkpoint import Checkpoint
from eegfm.inference.encoder_code import implementations
from eegfm.jobs.train.data import TrainingData
from eegfm.objectives.codes import tokenizer_config
from eegfm.provenance import sha256_of
from eegfm.source_code import module_hashes
from eegfm.store.stores import Stores
from eegfm.training.config import PretrainParams
from eegfm.training.pairings import by_corpus
from eegfm.training.supervised.config import SupervisedParams

PRETRAIN = "eegfm.jobs.train.pretrain"
LOGS = tuple(
    f"training.logs.{name}"
    for name in (
        *("averages", "code_use", "gradients", "history", "images", "loggers", "measures", "names", "pace", "pending"),
        *("progress_lines", "reconstructions", "throughput", "training_log"),
    )
)
NO_WEIGHTS = (
    # Windows, splits and mixture count by what they give: the mixture's own hash, targets included.
    *("windows", "splits", "mixture.table", "mixture.config"),
    # A configuration counts by its values. The model that is trained imports the configuration of its own kind.
    "encoders.config",
    # Files, headers and names.
    *("files", "named", "checkpoint", "ancestry", "jobs.train.header", "jobs.train.fingerprint"),
    *("jobs.train.tokenizer", "jobs.train.measured"),
    *("json_text", "normalizations.said", "printable", "safetensors_header", "stated_spec"),
    # These watch, compare and refuse.
    *("training.bfloat16", "training.loading.verify", "training.phases", "training.schedules.length"),
    *("metrics.groups", "metrics.moments", "metrics.spread"),
    *("progress", *LOGS, "inference.compatibility", "inference.table_loader", "nn.foreign_tensors", "nn.torch_file"),
    *("jobs.train.held_out", "jobs.train.resume", "jobs.train.runs", "overwrite"),
    *(f"training.state.{name}" for name in ("begin", "content", "file", "folder")),
    *("store.checksums", "store.damage", "processor", "stopping", "nn.allocation", "nn.code_use"),
    # These start processes and carry over what the others need and give.
    *("ranks.ends", "ranks.logs", "ranks.place", "ranks.start", "printable"),
    *("jobs.train.devices", "jobs.train.exchange", "jobs.train.job", "jobs.train.launch", "jobs.train.result"),
    # What it gives, parameters and a mixture, counts by its values.
    *("jobs.train.finetuning", "jobs.train.monitor"),
)
"""Modules that a training imports and that decide no weight, nor does what is imported only there."""
SUPERVISED = (
    *("training.supervised", "training.strategies", "objectives.supervised", "heads", "metrics", "targets", "nn.lora"),
    *("losses.supervised", "losses.class_weights", "losses.config"),
    # They choose the epoch that is published, and a finished finetuning is found again by its name.
    *("training.state.best", "training.state.checkpointing"),
)
"""Modules that every training imports and that decide weights of supervised ones alone: those answer, and metrics
choose among them."""
NO_TRAINING = {"publish"}
"""Parameters that decide which weights are stored, and nothing of how they are trained."""


def run_identity(
    params: PretrainParams,
    data: TrainingData,
    signals: Mapping[str, str],
    *,
    parents: Sequence[Checkpoint] = (),
    tokenizer: Checkpoint | None = None,
    job: str = PRETRAIN,
) -> dict[str, Any]:
    """Return everything that decides the weights of a run, as plain data; the machine does not count.

    Args:
        params: All choices.
        data: What is drawn from: the hash of its mixture covers the windows, their targets and how they are drawn.
        signals: See ``signals_of``.
        parents: Checkpoints that the weights start from.
        tokenizer: Checkpoint of the tokenizer whose codes are predicted.
        job: Module whose code trains.
    """
    if params.chosen_pairs is not None:  # pairs of a corpus that is not trained on decide nothing
        params = params.model_copy(update={"pairs": by_corpus(params.chosen_pairs, data.weights)})
    identity = {
        "params": {name: value for name, value in params.identity().items() if name not in NO_TRAINING},
        "mixture": data.mixture_sha256,
        "weights": data.weights,  # those by size are rounded to what the ranks can share
        "filters": data.filters,
        "signals": signals,
        # A start gives its weights, its objective's own where that is the same, and what is among the parameters.
        "parents": [{"weights": p.weights_sha256(), "objective": p.header.objective} for p in parents],
        "code": training_code(params, job, tokenizer),
    }
    identity |= {"tokenizer": _said_of(tokenizer)} if tokenizer else {}
    # Means and standard deviations are of persons; the windows' targets do not tell them to the last bit.
    return identity | ({"labels": {name: asdict(facts) for name, facts in data.labels.items()}} if data.labels else {})


def named(identity: Mapping[str, Any]) -> str:
    """Return the name of the run with this identity."""
    return sha256_of(identity)[:12]


def training_code(params: PretrainParams, job: str = PRETRAIN, tokenizer: Checkpoint | None = None) -> dict[str, str]:
    """Hash each module that decides weights: the job and what it imports, and the members that are chosen.

    Args:
        params: All choices.
        job: Module whose code trains.
        tokenizer: The tokenizer whose codes are predicted: its code counts, too.
    """
    chosen = [*implementations(params), *implementations(params.chosen_normalization)]
    chosen += implementations(params.chosen_pairs)
    if tokenizer is not None:
        chosen += implementations(tokenizer_config(tokenizer.header))
    is_supervised = isinstance(params, SupervisedParams)
    return module_hashes(job, *chosen, without=NO_WEIGHTS if is_supervised else (*NO_WEIGHTS, *SUPERVISED))


def _said_of(tokenizer: Checkpoint) -> dict[str, Any]:
    """Everything that decides codes, but their code."""
    said = ("encoder", "adapter", "normalization", "reference", "bad_channels", "objective")
    return {"weights": tokenizer.weights_sha256(), **{name: getattr(tokenizer.header, name) for name in said}}


def signals_of(mixture: pd.DataFrame, stores: Stores) -> dict[str, str]:
    """Return, by corpus, the hash of the signals of all recordings that the mixture draws from."""
    recordings = mixture.groupby("corpus", sort=True)["recording_id"]
    return {str(corpus): stores[str(corpus)].signals_sha256(set(names)) for corpus, names in recordings}
