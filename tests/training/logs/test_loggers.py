"""The table and the curves of a run, and how they go on."""

from pathlib import Path

import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from eegfm.training.logs.loggers import TableLogger, remove_logs, run_loggers

STEPS = [(10, {"train/loss": 3.0, "lr/0": 1e-3}), (20, {"train/loss": 2.0, "lr/0": 5e-4}), (20, {"val/loss": 2.5})]
STEPS += [(30, {"train/loss": 1.0, "lr/0": 1e-4}), (40, {"train/loss": float("nan"), "lr/0": 1e-5})]


def write(logger: TableLogger, steps: list[tuple[int, dict[str, float]]]) -> None:
    for step, values in steps:
        logger.log_metrics(values, step)


def test_one_row_per_step(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    logger = TableLogger(path)
    assert not path.exists()
    for number, expected in enumerate([1, 2, 2, 3, 4]):
        write(logger, STEPS[number : number + 1])
        assert len(pd.read_csv(path)) == expected, "each row is written at once"
    table = pd.read_csv(path)
    assert list(table.columns) == ["step", "train/loss", "lr/0", "val/loss"]
    assert table["step"].tolist() == [10, 20, 30, 40]
    assert table["train/loss"].tolist()[:3] == [3.0, 2.0, 1.0]
    assert table["val/loss"].isna().tolist() == [True, False, True, True]
    assert path.read_text().splitlines()[-1] == "40,nan,1e-05,"


@pytest.mark.parametrize("torn", ["", "40,0.", "40,0.5,"])
@pytest.mark.parametrize("first_step", [10, 20, 25])
def test_a_run_that_goes_on_has_no_row_twice(tmp_path: Path, torn: str, first_step: int) -> None:
    whole, path = tmp_path / "whole.csv", tmp_path / "metrics.csv"
    write(TableLogger(whole), STEPS)
    write(TableLogger(path), STEPS[:4])
    with path.open("a") as file:
        file.write(torn)
    write(TableLogger(path, first_step), [(step, values) for step, values in STEPS if step > first_step])
    assert path.read_bytes() == whole.read_bytes()


def test_a_validation_after_the_interruption_joins_the_row_before(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.csv", tmp_path / "metrics.csv"
    write(TableLogger(whole), STEPS[:3])
    write(TableLogger(path), STEPS[:2])
    write(TableLogger(path, 20), STEPS[2:3])
    assert path.read_bytes() == whole.read_bytes()


def test_a_run_that_begins_anew_begins_its_table_anew(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    write(TableLogger(path), STEPS)
    write(TableLogger(path), STEPS[:1])
    assert pd.read_csv(path)["step"].tolist() == [10]
    remove_logs(tmp_path)
    remove_logs(tmp_path)
    assert not path.exists()
    write(TableLogger(path, 10), STEPS[1:2])
    assert pd.read_csv(path)["step"].tolist() == [20], "somebody removed the table of a run that goes on"


def test_curves_go_on_without_a_step_twice(tmp_path: Path) -> None:
    for first_step, first in ((0, 1), (3, 4)):
        loggers = run_loggers(tmp_path, first_step)
        for step in range(first, first + 5):
            for logger in loggers:
                logger.log_metrics({"train/loss": float(step + 100 * first_step)}, step)
        for logger in loggers:
            logger.finalize("success")
    events = EventAccumulator(str(tmp_path / "tensorboard"), purge_orphaned_data=True).Reload()
    found = [(event.step, event.value) for event in events.Scalars("train/loss")]
    assert found == [(1, 1.0), (2, 2.0), (3, 3.0), *((step, step + 300.0) for step in range(4, 9))]
    assert pd.read_csv(tmp_path / "metrics.csv")["train/loss"].tolist() == [value for _, value in found]
