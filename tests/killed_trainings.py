"""Run as a program: one training without interruption, and one that is killed again and again.

Every run is a process of its own, forked from this one, which has imported everything. Prints one JSON object for each
case that it is asked for.
"""

import hashlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eegfm import files
from eegfm.batch import TrainStep
from eegfm.encoders.config import PatchTransformerConfig
from eegfm.jobs.train.fingerprint import training_code
from eegfm.jobs.train.pretrain import PretrainResult, fit_pretraining
from eegfm.training.blocks import CheckpointParams
from eegfm.training.logs import reconstructions
from eegfm.training.module import PretrainModule
from noise_corpora import PARAMS, noise_mixture, noise_splits, noise_stores

# Images are no part of the outcome and would take most of the time.
reconstructions.reconstruction_image = lambda item: np.zeros((1, 1, 3), dtype=np.uint8)
STORES = noise_stores()
MIXTURE = noise_mixture(STORES)
SPLITS = noise_splits(MIXTURE)
TIMES = ("windows_per_s",)
"""Metrics that are no result."""


def fit(runs: Path, **changes: Any) -> PretrainResult:
    """Pretrain; another program puts a training of its own in this place."""
    encoder = PatchTransformerConfig(d_model=16, head_size=8, n_layers=2, dropout_ratio=0.1)
    asked = {
        "encoder": encoder, "n_steps": 60, "batch_size": 40, "validation_interval_steps": 12, "resume": True,
        "checkpoint": CheckpointParams(every_steps=4), "publish": "best",
    }  # fmt: skip
    params = PARAMS.model_copy(update=asked | changes)
    return fit_pretraining(MIXTURE, STORES, params, runs, splits=SPLITS)


def train(folder: Path, **changes: Any) -> PretrainResult:
    """Train and note every step that begins, and the outcome."""
    take = PretrainModule.training_step

    def noted(self: PretrainModule, step: TrainStep, k: int) -> None:
        sha = hashlib.sha256()
        for batch in step.batches:
            sha.update(
                batch["corpus"].encode() + batch["recording"].numpy().tobytes() + batch["samples"].numpy().tobytes()
            )
        with (folder / "samples.log").open("a") as log:
            log.write(f"{step.number} {sha.hexdigest()}\n")
        take(self, step, k)

    PretrainModule.training_step = noted  # type: ignore[method-assign]
    folder.mkdir(exist_ok=True)
    done = fit(folder / "runs", **changes)
    (folder / "outcome.json").write_text(json.dumps(outcome(done)))
    return done


def outcome(done: PretrainResult) -> dict[str, Any]:
    """Hashes of all that a training gives."""
    weights = hashlib.sha256()
    for name, value in sorted(done.checkpoint.tensors.items()):
        weights.update(name.encode() + value.tobytes())
    table = pd.read_csv(done.run_directory / "metrics.csv", dtype=str, keep_default_na=False)
    table = table[sorted(name for name in table.columns if not name.startswith("speed/"))]
    return {
        "weights": weights.hexdigest(),
        "history": hashlib.sha256(pd.util.hash_pandas_object(done.history).to_numpy().tobytes()).hexdigest(),
        "table": hashlib.sha256(table.to_csv().encode()).hexdigest(),
        "header": done.checkpoint.header.model_dump(mode="json"),
        "metrics": {name: value for name, value in done.metrics.items() if name not in TIMES},
        "reconstructions": hashlib.sha256(repr(done.reconstructions).encode()).hexdigest(),
    }


def forked(job: Callable[[], object]) -> int:
    """Start a job in a process of its own."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        job()
        code = 0
    finally:
        os._exit(code)


def kill(process: int, folder: Path, n_steps: int, wait_s: float, *, in_a_save: bool) -> bool:
    """Kill a process some steps after its first, in a save if asked to; tell whether it was in one."""
    until = n_lines(folder) + n_steps
    while n_lines(folder) < until and not has_ended(process):
        time.sleep(0.002)
    if not in_a_save:
        time.sleep(wait_s)
    while in_a_save and not half_written(folder) and not has_ended(process):
        pass
    if not has_ended(process):
        os.kill(process, signal.SIGKILL)
    return half_written(folder)


def n_lines(folder: Path) -> int:
    """Steps that have begun so far, those that were taken again among them."""
    log = folder / "samples.log"
    return log.read_bytes().count(b"\n") if log.exists() else 0


def half_written(folder: Path) -> bool:
    """Whether there is a temporary file of a checkpoint."""
    return bool(list(folder.glob("runs/*/checkpoints/.*.tmp")))


def has_ended(process: int) -> bool:
    """Whether a child has ended; it is not waited for."""
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def slow_fsync() -> None:
    """Let every save take a while, so that it can be hit."""
    sync = os.fsync

    def slow(descriptor: int) -> None:
        time.sleep(0.01)
        sync(descriptor)

    files.os.fsync = slow  # type: ignore[attr-defined]


def sample_log(folder: Path) -> tuple[list[str], bool]:
    """The log by step, and whether steps that were taken twice were given the same samples."""
    by_step: dict[int, set[str]] = {}
    for line in (folder / "samples.log").read_text().splitlines():
        number, _, sha = line.partition(" ")
        by_step.setdefault(int(number), set()).add(sha)
    return [f"{k} {sorted(by_step[k])}" for k in sorted(by_step)], all(len(found) == 1 for found in by_step.values())


def main(folder: Path, n_kills: int, n_in_saves: int, seed: int, changes: dict[str, Any]) -> dict[str, Any]:
    """Train whole, train killed, and compare."""
    folder.mkdir()
    os.waitpid(forked(lambda: train(folder / "whole", **changes)), 0)
    killed, kills, rng = folder / "killed", [], random.Random(seed)
    while len(kills) < n_kills:
        process = forked(lambda: train(killed, **changes))
        n_steps, wait_s = rng.randint(0, 16), rng.uniform(0, 0.03)
        is_in_save = kill(process, killed, n_steps, wait_s, in_a_save=len(kills) % (n_kills // n_in_saves) == 1)
        _, status = os.waitpid(process, 0)
        if os.WIFSIGNALED(status):
            steps = [int(path.stem.partition("_")[2]) for path in killed.glob("runs/*/checkpoints/step_*.ckpt")]
            kills.append([max(steps, default=0), is_in_save])
        else:  # it had time to finish: the next kills hit the same training once more
            assert status == 0, status
            for file in [*killed.glob("runs/*/checkpoints/*"), killed / "samples.log"]:
                file.unlink()
    os.waitpid(forked(lambda: train(killed, **changes)), 0)
    process = forked(lambda: train(killed, **changes))  # a finished run is not trained again
    os.waitpid(process, 0)
    logs = {name: sample_log(folder / name) for name in ("whole", "killed")}
    return {
        "outcomes": {name: json.loads((folder / name / "outcome.json").read_text()) for name in logs},
        "sample_logs": {name: hashlib.sha256("\n".join(log).encode()).hexdigest() for name, (log, _) in logs.items()},
        "is_repeated_alike": logs["killed"][1],
        "n_lines": [n_lines(folder / name) for name in logs],
        "kills": kills,
        "left": sorted(path.name for path in killed.glob("runs/*/checkpoints/*")),
        "hidden": sorted(path.name for path in killed.glob("runs/*/checkpoints/.*")),
    }


def run(asked: str) -> None:
    """Do what is asked, and print what was found."""
    slow_fsync()
    training_code(PARAMS)  # the code is parsed here, once for all
    for place, *how in json.loads(asked):
        sys.stdout.write(json.dumps(main(Path(place), *how)) + "\n")


if __name__ == "__main__":
    run(sys.argv[1])
