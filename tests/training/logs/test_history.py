"""Tables and means of what a run logs."""

import math

import pytest

from eegfm.training.logs.history import Averages, History, mixed, with_r2


def test_values_of_one_step_share_a_row() -> None:
    history = History()
    history.record(20, {"loss": 1.0, "lr": 0.5})
    history.record(10, {"loss": 2.0, "lr": 0.1, "loss_tuh": 3.0})
    history.record(20, {"val_loss": 4.0})
    table = history.table()
    assert list(table.columns) == ["step", "loss", "val_loss", "lr", "loss_tuh"]
    assert table["step"].tolist() == [10, 20]
    assert table["loss"].tolist() == [2.0, 1.0]
    assert math.isnan(table["val_loss"][0])
    assert table["val_loss"][1] == 4.0


def test_an_empty_history_has_its_columns() -> None:
    assert list(History().table().columns) == ["step", "loss", "val_loss", "lr"]


def test_means_count_windows_then_weights() -> None:
    averages = Averages()
    averages.add("a", {"loss": 1.0}, 3)
    averages.add("a", {"loss": 5.0}, 1)
    averages.add("b", {"loss": 4.0}, 10)
    assert averages.by_corpus() == {"a": {"loss": 2.0}, "b": {"loss": 4.0}}
    weights = {"a": 0.25, "b": 0.5, "absent": 0.25}
    assert mixed(averages.by_corpus(), weights)["loss"] == pytest.approx((0.25 * 2 + 0.5 * 4) / 0.75)


def test_r2_is_a_ratio_of_means() -> None:
    assert with_r2({"loss": 1.0, "baseline_loss": 4.0}) == {"loss": 1.0, "r2": 0.75}
    assert with_r2({"loss": 1.0}) == {"loss": 1.0}
    assert with_r2({"loss": 0.0, "baseline_loss": 0.0})["r2"] == 1.0
