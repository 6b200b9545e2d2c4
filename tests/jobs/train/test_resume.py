"""A training goes on where it was, and says so; a signal, a full disk or damage cost at most an interval."""

import errno
import hashlib
import json
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from lightning import Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from contracts.objective_cases import members
from eegfm.encoders.config import PatchTransformerConfig
from eegfm.errors import CheckpointError, ConfigError, TrainingError
from eegfm.files import exclusive
from eegfm.jobs.train import PretrainResult, fit_pretraining
from eegfm.jobs.train.runs import LOCK, busy
from eegfm.objectives.config import AnyObjectiveConfig
from eegfm.training import module
from eegfm.training.blocks import CheckpointParams, FreezeRule
from eegfm.training.config import PretrainParams
from eegfm.training.logs.throughput import ThroughputMonitor
from eegfm.training.module import PretrainModule
from eegfm.training.state.best import BestValidation
from eegfm.training.state.file import read_state, write_state
from noise_corpora import PARAMS, noise_mixture, noise_splits, noise_stores
from person_tables import with_movies

STORES = noise_stores()
MIXTURE = noise_mixture(STORES)
SPLITS = noise_splits(MIXTURE)
SMALL = PARAMS.model_copy(
    update={
        "encoder": PatchTransformerConfig(d_model=16, head_size=8, n_layers=1, dropout_ratio=0.1),
        "n_steps": 12, "log_interval_steps": 2, "validation_interval_steps": 5, "n_validation_windows": 10,
        "checkpoint": CheckpointParams(every_steps=3), "resume": True,
    }
)  # fmt: skip


@dataclass
class Trainings:
    """Trainings in one folder, and the steps that were taken."""

    runs: Path
    monkeypatch: pytest.MonkeyPatch
    steps: list[int] = field(default_factory=list)

    def __call__(self, mixture: pd.DataFrame = MIXTURE, stored: str | None = None, **changes: Any) -> PretrainResult:
        self.steps.clear()
        params = SMALL.model_copy(update=changes)
        return fit_pretraining(mixture, STORES, params, self.runs, splits=SPLITS, stored=stored)

    def interrupted(self, at: int, **changes: Any) -> None:
        """Train until a step has ended, and fail there."""
        self.at(at, _fail)
        with pytest.raises(_FailureError):
            self(**changes)

    def at(self, step: int, what: Callable[[], object]) -> None:
        """Do something once, when a step has ended and before it is saved."""
        count, done = ThroughputMonitor.on_train_batch_end, []

        def end(monitor: ThroughputMonitor, *args: Any) -> None:
            count(monitor, *args)
            if args[3].number + 1 == step and not done:
                done.append(step)
                what()

        self.monkeypatch.setattr(ThroughputMonitor, "on_train_batch_end", end)

    def in_validation(self, step: int, what: Callable[[], object]) -> None:
        """Do something in each batch of the validations behind a step."""
        validate = PretrainModule.validation_step

        def noted(module: PretrainModule, *args: Any) -> None:
            validate(module, *args)
            if module.global_step == step:
                what()

        self.monkeypatch.setattr(PretrainModule, "validation_step", noted)

    def checkpoints(self) -> list[str]:
        """Names of all files of states."""
        return sorted(path.name for path in self.runs.glob("*/checkpoints/*"))


class _FailureError(Exception):
    pass


def _fail(*_: object, **__: object) -> None:
    raise _FailureError


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Trainings:
    caplog.set_level(logging.INFO)
    trainings = Trainings(tmp_path / "runs", monkeypatch)
    take = PretrainModule.training_step

    def noted(self: PretrainModule, step: Any, k: int) -> None:
        trainings.steps.append(step.number)
        take(self, step, k)

    monkeypatch.setattr(PretrainModule, "training_step", noted)
    return trainings


def outcome(done: PretrainResult) -> tuple[str, str, dict[str, float], str]:
    """All that a training gives, but its speed."""
    weights = hashlib.sha256(b"".join(v.tobytes() for _, v in sorted(done.checkpoint.tensors.items()))).hexdigest()
    metrics = {name: value for name, value in done.metrics.items() if name != "windows_per_s"}
    return weights, done.history.to_csv(), metrics, repr(done.reconstructions)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> PretrainResult:
    return fit_pretraining(MIXTURE, STORES, SMALL, tmp_path_factory.mktemp("whole"), splits=SPLITS)


def scalars(directory: Path) -> dict[str, list[tuple[int, float]]]:
    found = EventAccumulator(str(directory / "tensorboard"))
    found.Reload()
    tags = [tag for tag in found.Tags()["scalars"] if not tag.startswith("speed/")]
    # Files of one second are read in the order of their names, and the tenth of a process comes before its ninth.
    return {tag: sorted((e.step, e.value) for e in found.Scalars(tag)) for tag in tags}


def test_an_interrupted_training_goes_on_exactly(
    train: Trainings, whole: PretrainResult, caplog: pytest.LogCaptureFixture
) -> None:
    train.interrupted(9)
    assert train.checkpoints() == ["best.ckpt", "step_3.ckpt", "step_6.ckpt"]
    [directory] = train.runs.iterdir()
    assert max(step for step, _ in scalars(directory)["train/loss"]) == 8, "step 8 is logged already"
    done = train()
    assert train.steps == [6, 7, 8, 9, 10, 11]
    assert outcome(done) == outcome(whole)
    assert done.checkpoint.header == whole.checkpoint.header
    assert f"Run {done.run_directory.name} goes on from step 6 of 12" in caplog.messages
    assert train.checkpoints() == ["best.ckpt", "step_12.ckpt", "step_6.ckpt", "step_9.ckpt"]
    logs = scalars(done.run_directory)
    assert logs == scalars(whole.run_directory), "TensorBoard shows no step twice"
    assert all(len({step for step, _ in values}) == len(values) for values in logs.values())


NARROW = {
    "patch_transformer": {"d_model": 16, "head_size": 8, "n_layers": 1},
    "luna": {"d_token": 16, "n_queries": 2, "n_layers": 1},
    "conv": {"d_model": 16, "n_layers": 1},
    "labram": {"n_maps": 4, "n_heads": 4, "n_layers": 1, "patch_samples": 100, "layer_scale": 0.0},
}
BRIEF = {"projection": {"hidden": 16, "out": 8}}
COVERING: dict[str, tuple[str, dict[str, Any]]] = {
    "masked": ("conv", {}),
    "mae": ("patch_transformer", {}),
    "contrastive": ("conv", {"projection": {"hidden": 16, "out": 8, "norm": "batch"}}),
    "isc": ("luna", BRIEF),
    "jepa": ("conv", {}),
    "ts2vec": ("patch_transformer", {}),
    "smart": ("patch_transformer", {}),
    "tokenizer": ("labram", {"n_codes": 8, "d_code": 4, "n_decoder_layers": 1}),
    "auxiliary": ("conv", {"auxiliary": {"heads": ["age", "sex"], "weighting": "uncertainty"}}),
}
"""Every objective once, and every kind of encoder; ``tests/test_objective_grid.py`` has all pairs by commands."""
PAIRS = [(name, encoder) for name, (encoder, _) in COVERING.items()]
if os.environ.get("EEGFM_OBJECTIVES") == "full":
    every = product(COVERING.keys() - {"mae", "tokenizer"}, NARROW.keys() - {"labram"})
    PAIRS += sorted({*every} - {*PAIRS})


@pytest.mark.parametrize(("name", "encoder"), PAIRS)
def test_every_objective_goes_on_exactly(train: Trainings, tmp_path: Path, name: str, encoder: str) -> None:
    _, options = COVERING[name]
    number = MIXTURE["person"].str[-1].astype(float)
    labelled = MIXTURE.assign(label_age=number.where(number != 2), label_sex=np.where(number > 2, "M", "F"))
    given = {"encoder": {"name": encoder, **NARROW[encoder]}, "objective": {"name": name, **options}}
    chosen = PretrainParams.model_validate({**given, "n_steps": 4, "batch_size": 20})
    changes = {key: getattr(chosen, key) for key in ("encoder", "objective", "n_steps", "batch_size")}
    changes |= {"mixture": with_movies(labelled), "checkpoint": CheckpointParams(every_steps=2)}
    train.interrupted(3, **changes)
    done = train(**changes)
    assert train.steps == [2, 3]
    params = SMALL.model_copy(update={key: value for key, value in changes.items() if key != "mixture"})
    whole = fit_pretraining(changes["mixture"], STORES, params, tmp_path / "whole", splits=SPLITS)
    assert outcome(done) == outcome(whole)
    assert done.checkpoint.header == whole.checkpoint.header


def test_the_covering_set_names_every_objective() -> None:
    assert list(COVERING) == [member.model_fields["name"].default for member in members(AnyObjectiveConfig)]
    assert {encoder for encoder, _ in COVERING.values()} == set(NARROW)


def test_a_finished_training_is_not_trained_again(
    train: Trainings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = train()
    monkeypatch.setattr(Trainer, "fit", _fail)
    again = train(license="mit", keep_runs=1)
    assert outcome(again) == outcome(first)
    assert again.metrics["windows_per_s"] == first.metrics["windows_per_s"]
    assert again.checkpoint.header.license == "mit"
    assert f"Run {first.run_directory.name} is finished: its 12 steps are not taken again" in caplog.messages
    with pytest.raises(_FailureError):
        train(resume=False)
    with pytest.raises(_FailureError):
        train(seed=1)


def test_resume_false_starts_anew(train: Trainings, whole: PretrainResult, caplog: pytest.LogCaptureFixture) -> None:
    train.interrupted(8)
    done = train(resume=False)
    assert train.steps == [*range(12)]
    assert outcome(done) == outcome(whole)
    assert f"Run {done.run_directory.name} starts anew (resume: false)" in caplog.messages


def test_more_steps_go_on(train: Trainings, caplog: pytest.LogCaptureFixture) -> None:
    short = train(n_steps=6)
    done = train()
    assert train.steps == [6, 7, 8, 9, 10, 11]
    assert done.run_directory != short.run_directory
    [line] = [line for line in caplog.messages if "takes over" in line]
    assert f"run {short.run_directory.name} (6 steps) in nothing but its 12 steps" in line
    assert "its schedule goes on as one over 12 steps" in line
    assert done.history["step"].tolist() == [2, 4, 5, 6, 8, 10, 12]
    assert done.metrics["n_windows"] == 120
    assert scalars(done.run_directory)["train/loss"][0][0] == 2, "the curves of the shorter run are there"
    rates = done.history.set_index("step")["lr"].dropna()
    assert rates[6] < rates[8] / 5, "the short run had come to its end"
    assert short.checkpoint.header.continues == ()
    assert done.checkpoint.header.continues == (short.run_directory.name,)
    longer = train(n_steps=14)
    assert train.steps[0] == 12
    assert longer.checkpoint.header.continues == (short.run_directory.name, done.run_directory.name)
    assert train(n_steps=14).checkpoint.header == longer.checkpoint.header
    fewer = train(n_steps=3)
    assert train.steps == [0, 1, 2]
    assert fewer.run_directory.name != done.run_directory.name
    train(n_steps=15, seed=1)
    assert train.steps[0] == 0, "another configuration does not go on"


def test_damage_costs_an_interval(train: Trainings, whole: PretrainResult, caplog: pytest.LogCaptureFixture) -> None:
    train.interrupted(11)
    [newest] = train.runs.glob("*/checkpoints/step_9.ckpt")
    newest.write_bytes(newest.read_bytes()[:-50])
    done = train()
    assert train.steps[0] == 6
    assert outcome(done) == outcome(whole)
    assert any(line.startswith(f"{newest}: ") and "checkpoint before it is used" in line for line in caplog.messages)


def test_frozen_bits_are_those_of_the_first_start(train: Trainings) -> None:
    freeze = FreezeRule(parts=("encoder.layers.0",))
    train.interrupted(4, freeze=(freeze,))
    [path] = train.runs.glob("*/checkpoints/step_3.ckpt")
    state = read_state(path)
    name = next(name for name in state.module if ".encoder.layers.0." in name)
    write_state(path, replace(state, module=state.module | {name: state.module[name] + 1e-6}))
    with pytest.raises(TrainingError, match=rf"frozen weights have moved: {name.partition('backbone.')[2]};"):
        train(freeze=(freeze,))


def test_all_damaged_starts_anew(train: Trainings, whole: PretrainResult) -> None:
    train.interrupted(8)
    for path in train.runs.glob("*/checkpoints/*"):
        path.write_bytes(b"")
    assert outcome(train()) == outcome(whole)
    assert train.steps[0] == 0


SIGNALS = {signal.SIGTERM: 143, signal.SIGUSR1: 143, signal.SIGINT: 130}


@pytest.mark.parametrize(
    ("number", "step", "is_in_validation"),
    [
        (signal.SIGTERM, 7, False),
        (signal.SIGUSR1, 10, True),
        (signal.SIGINT, 12, False),  # before the last validation
    ],
)
def test_a_signal_leaves_a_checkpoint_within_a_step(
    train: Trainings,
    whole: PretrainResult,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
    step: int,
    is_in_validation: bool,
) -> None:
    before = [signal.getsignal(n) for n in SIGNALS]
    validated: list[int] = []

    def stop() -> None:
        os.kill(os.getpid(), number)

    def in_batch() -> None:
        validated.append(step)
        if is_in_validation and len(validated) == 1:
            stop()

    train.in_validation(step, in_batch)
    if not is_in_validation:
        train.at(step, stop)
    with pytest.raises(SystemExit) as caught:
        train()
    assert caught.value.code == SIGNALS[number]
    assert train.steps[-1] == step - 1
    assert len(validated) == is_in_validation, "the batch in which the signal came, and none after it"
    assert f"step_{step}.ckpt" in train.checkpoints()
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("eegfm: error")]
    assert f"a checkpoint of step {step}{', the last one,' if step == 12 else ' of 12'} is kept" in line
    assert [signal.getsignal(n) for n in SIGNALS] == before
    done = train()
    assert train.steps == [*range(step, 12)]
    assert outcome(done) == outcome(whole)
    assert done.metrics["best_val_loss"] == whole.metrics["best_val_loss"]
    assert scalars(done.run_directory) == scalars(whole.run_directory)


def test_a_full_disk_in_a_save_keeps_the_old_ones(
    train: Trainings, whole: PretrainResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, n_left = os.fsync, [2]

    def full(descriptor: int) -> None:
        """The disk is full when the third state is written; it has room for other files."""
        new = train.runs.glob("*/checkpoints/.*.tmp")
        is_state = any(os.path.samestat(os.fstat(descriptor), path.stat()) for path in new)
        n_left[0] -= is_state
        if is_state and n_left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr("eegfm.files.os.fsync", full)
        with pytest.raises(OSError, match="No space left") as caught:
            train()
    assert caught.value.filename.endswith(".ckpt")
    assert "step_3.ckpt" in train.checkpoints()
    assert not list(train.runs.rglob("*.tmp"))
    assert outcome(train()) == outcome(whole)


def test_the_best_validation_is_published_if_asked_for(
    train: Trainings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    improved, losses = BestValidation.is_improved_by, {5: 0.5, 10: 0.3, 12: 0.4}
    monkeypatch.setattr(BestValidation, "is_improved_by", lambda best, _, step: improved(best, losses[step], step))
    train.interrupted(11)
    last = train()
    best = train(publish="best")
    assert train.steps == [], "it is the same training"
    assert (best.checkpoint.header.published, best.checkpoint.header.n_steps) == ("best", 10)
    assert (last.checkpoint.header.published, last.checkpoint.header.n_steps) == ("last", 12)
    assert best.metrics["published_step"] == best.metrics["best_step"] == last.metrics["best_step"] == 10
    assert best.metrics["best_val_loss"] == 0.3
    by_step = last.history.set_index("step")["val_loss"]
    assert (best.metrics["val_loss"], last.metrics["val_loss"]) == (by_step[10], by_step[12])
    assert outcome(best)[0] != outcome(last)[0]
    assert outcome(best)[3] != outcome(last)[3], "what is shown is what is published"
    [path] = train.runs.glob("*/checkpoints/best.ckpt")
    kept = read_state(path).checkpoint().tensors
    assert all((kept[name] == value).all() for name, value in best.checkpoint.tensors.items())
    kept_state = path.read_bytes()
    refused = r"holds no state of the best validation \(val/loss 0\.3 after step 10\); .*last, .*=pretrain.resume=false"
    worse = replace(read_state(path), parts=read_state(path).parts | {"best": {"loss": 0.5, "step": 5}})
    for damage in (lambda: path.write_bytes(kept_state[:-50]), lambda: write_state(path, worse), path.unlink):
        damage()
        caplog.clear()
        with pytest.raises(CheckpointError, match=refused):
            train(publish="best")
        [line] = [line for line in caplog.messages if "no state of the best validation so far" in line]
        assert "(val/loss 0.3 after step 10); its value is kept, and publish: best is refused unless" in line
    assert train().metrics["best_step"] == 10, "no value is forgotten, and none is made up"


def test_a_better_validation_takes_the_place_of_a_lost_best_state(
    train: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    improved, losses = BestValidation.is_improved_by, {5: 0.3, 10: 0.4, 12: 0.2}
    monkeypatch.setattr(BestValidation, "is_improved_by", lambda best, _, step: improved(best, losses[step], step))
    train.interrupted(8)
    [path] = train.runs.glob("*/checkpoints/best.ckpt")
    path.unlink()
    done = train(publish="best")
    assert (done.metrics["best_step"], done.metrics["published_step"]) == (12, 12), "and not 10, which is worse than 5"


def test_best_without_a_validation_is_refused(train: Trainings) -> None:
    with pytest.raises(ConfigError, match="publish is best, but the mixture has no window to validate on"):
        train(MIXTURE[MIXTURE["split"] == "train"], publish="best")


def test_a_run_that_another_process_trains_is_refused(train: Trainings, whole: PretrainResult) -> None:
    directory = train.runs / whole.run_directory.name
    directory.mkdir(parents=True)
    refused = pytest.raises(TrainingError, match=rf"process {os.getpid()} on \S+ trains this run")
    with exclusive(directory / LOCK, lambda who: busy(directory, who)), refused:
        train()


def test_old_runs_are_pruned(train: Trainings, caplog: pytest.LogCaptureFixture) -> None:
    made = []
    for seed in range(4):
        made.append(train(seed=seed, n_steps=1).run_directory)
        os.utime(made[-1] / "params.json", (seed, seed))
    (train.runs / "notes").mkdir()
    content = json.loads((made[2] / "params.json").read_text())
    assert content["n_steps"] == 1
    (made[2] / "params.json").write_text(json.dumps(content | {"n_steps": 9}))
    with exclusive(made[1] / LOCK, lambda who: busy(made[1], who)):
        now = train(seed=9, n_steps=1, keep_runs=2, stored=made[0].name).run_directory
    kept = {path.name for path in train.runs.iterdir()}
    assert kept == {now.name, made[0].name, made[1].name, made[2].name, "notes"}
    assert f"keep_runs 2: the folder of run {made[3].name} is removed" in caplog.messages
    unfinished = f"run {made[2].name} is unfinished (step 1 of 9) and kept; if it need not go on, remove {made[2]}"
    assert f"keep_runs 2: {unfinished}" in caplog.messages


def test_broken_steps_count_over_an_interruption(train: Trainings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_is_finite", lambda *_: torch.tensor(train.steps[-1] not in {1, 7, 8}))
    train.interrupted(5, max_skipped_steps=2)
    found = r"step 9 is not finite, and 3 steps .*max_skipped_steps 2 .*; lower optimizer.learning_rate"
    with pytest.raises(TrainingError, match=found):
        train(max_skipped_steps=2)
    assert "step_6.ckpt" in train.checkpoints()
    assert train(max_skipped_steps=3).metrics["n_skipped_steps"] == 3
