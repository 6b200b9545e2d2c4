"""The trainer is quiet and where it should be."""

import logging
import signal
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from lightning import Callback
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.utilities.rank_zero import rank_zero_info

from eegfm.training.config import PretrainParams
from eegfm.training.logs.progress_lines import ProgressLines, StepBar
from eegfm.training.trainer import build_trainer, quieten, validation_interval

PARAMS = PretrainParams(n_steps=5, accelerator="cpu", progress_bar=False)


def test_each_line_once_and_no_tips(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    quieten()
    quieten()
    for name in ("lightning", "lightning.pytorch"):
        assert not logging.getLogger(name).handlers
    with caplog.at_level(logging.INFO):
        build_trainer(PARAMS, tmp_path, 5, [], validates=True)
        rank_zero_info("said once")
    assert caplog.messages.count("said once") == 1
    assert not [message for message in caplog.messages if "Tip" in message or "litlogger" in message]


def test_logs_lie_in_the_run_directory(tmp_path: Path) -> None:
    old, table = tmp_path / "tensorboard" / "old", tmp_path / "metrics.csv"
    old.mkdir(parents=True)
    table.touch()
    build_trainer(PARAMS, tmp_path, 5, [], validates=True, first_step=3)
    assert old.exists()
    assert table.exists(), "a run that goes on keeps its logs"
    trainer = build_trainer(PARAMS, tmp_path, 5, [], validates=True)
    assert not old.exists()
    assert not table.exists()
    assert [logger.name for logger in trainer.loggers] == ["tensorboard", "metrics"]
    assert trainer.logger is not None
    assert Path(trainer.logger.log_dir) == tmp_path / "tensorboard"
    assert trainer.max_steps == 5


@pytest.mark.parametrize(
    ("asked", "is_terminal", "shown"),
    [(True, True, StepBar), (True, False, ProgressLines), (False, True, ProgressLines)],
)
def test_a_bar_on_a_terminal_and_lines_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: bool, is_terminal: bool, shown: type[Callback]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)
    trainer = build_trainer(PARAMS.model_copy(update={"progress_bar": asked}), tmp_path, 5, [], validates=True)
    found = [type(callback) for callback in trainer.callbacks if isinstance(callback, StepBar | ProgressLines)]
    assert found == [shown]


def test_sums_are_the_same_in_every_run_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr("eegfm.training.trainer.Trainer", lambda **choices: asked.append(choices) or Mock())
    for deterministic in (False, True):
        params = PARAMS.model_copy(update={"deterministic": deterministic})
        build_trainer(params, tmp_path, 5, [], validates=True)
    assert [choices["deterministic"] for choices in asked] == [False, True]
    assert not any(choices["benchmark"] for choices in asked)
    assert [choices["accelerator"] for choices in asked] == ["cpu", "cpu"]


def test_short_runs_validate_once() -> None:
    assert validation_interval(PARAMS, 5) == 5
    assert validation_interval(PARAMS, 500) == PARAMS.validation_interval_steps


class _SeenError(Exception):
    """The training has begun."""


def test_signals_stay_with_whom_they_were(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)

    class Look(Callback):
        def on_train_batch_start(self, *_: object) -> None:
            assert signal.getsignal(signal.SIGTERM) is before
            raise _SeenError

    with pytest.raises(_SeenError):
        build_trainer(PARAMS, tmp_path, 5, [Look()], validates=False).fit(BoringModel())
