"""The table of what a run logs."""

import math

from eegfm.training.logs.history import History


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


def test_the_first_value_of_a_column_is_that_of_the_first_step() -> None:
    history = History()
    history.record(20, {"loss": 1.0})
    history.record(10, {"val_loss": 2.0})
    history.record(30, {"val_loss": 3.0})
    assert (history.first("val_loss"), history.first("loss"), history.first("other")) == (2.0, 1.0, None)


def test_a_history_that_goes_on_has_its_rows() -> None:
    history, other = History(), History()
    history.record(10, {"loss": 2.0})
    other.load_state_dict(history.state_dict())
    other.record(20, {"loss": 1.0})
    assert other.table()["loss"].tolist() == [2.0, 1.0]
    assert history.table()["loss"].tolist() == [2.0]
