"""Names of logged values."""

import pytest

from eegfm.training.logs.names import aliases, history_columns, learning_rates, named, shares


def test_the_stage_is_before_and_the_corpus_behind() -> None:
    by_corpus = {"tuh": {"loss": 2.0, "r2": 0.5}}
    assert named("val", {"loss": 1.0}, by_corpus) == {"val/loss": 1.0, "val/loss/tuh": 2.0, "val/r2/tuh": 0.5}
    assert named("train", {"loss": 1.0}, by_corpus, of_epoch=True) == {
        "train/loss_epoch": 1.0, "train/loss_epoch/tuh": 2.0, "train/r2_epoch/tuh": 0.5,
    }  # fmt: skip


def test_losses_have_a_second_name() -> None:
    assert aliases({"train/loss": 1.0, "train/loss/tuh": 2.0, "lr/0": 3.0}) == {"train_loss": 1.0}
    assert aliases({"val/loss": 1.0, "val/r2": 2.0}) == {"val_loss": 1.0}


def test_the_history_keeps_what_a_run_that_goes_on_has_again() -> None:
    values = {
        "train/loss": 1.0, "train/loss/tuh": 2.0, "val/loss": 3.0, "val/loss/my_corpus": 4.0, "train/loss_epoch": 5.0,
        "train/loss_epoch/tuh": 6.0, "speed/windows_per_s": 7.0, "lr/0": 8.0, "train/gradient_norm": 9.0,
    }  # fmt: skip
    assert history_columns(values) == {
        "loss": 1.0, "loss_tuh": 2.0, "val_loss": 3.0, "val_loss_my_corpus": 4.0, "gradient_norm": 9.0,
    }  # fmt: skip


def test_every_group_has_its_rate() -> None:
    groups = [{"lr": 1.0}, {"lr": 2.0, "name": "head"}, {"lr": 2.0, "name": "head"}, {"lr": 3.0, "name": "head"}]
    assert learning_rates(groups) == {"lr/0": 1.0, "lr/head": 2.0, "lr/head.3": 3.0}


def test_shares_add_up_to_one() -> None:
    assert shares({"tuh": 3.0, "hbn": 1.0}, "mixture") == pytest.approx(
        {"train/mixture/hbn": 0.25, "train/mixture/tuh": 0.75}
    )
    assert shares({"tuh": 0.0}, "mixture") == {}
