"""Means of what a run logs."""

import json

import pytest

from eegfm.training.logs.averages import Averages, mixed, with_r2


def test_means_count_windows_then_weights() -> None:
    averages = Averages()
    averages.add("a", {"loss": 1.0}, 3)
    averages.add("a", {"loss": 5.0}, 1)
    averages.add("b", {"loss": 4.0}, 10)
    assert averages.by_corpus() == {"a": {"loss": 2.0}, "b": {"loss": 4.0}}
    weights = {"a": 0.25, "b": 0.5, "absent": 0.25}
    assert mixed(averages.by_corpus(), weights)["loss"] == pytest.approx((0.25 * 2 + 0.5 * 4) / 0.75)


def test_r2_is_a_ratio_of_means() -> None:
    assert with_r2({"loss": 1.0, "baseline_loss": 4.0}) == {"loss": 1.0, "baseline_loss": 4.0, "r2": 0.75}
    assert with_r2({"loss": 1.0}) == {"loss": 1.0}
    assert with_r2({"loss": 0.0, "baseline_loss": 0.0})["r2"] == 1.0


def test_sums_go_on() -> None:
    averages, other = Averages(), Averages()
    averages.add("a", {"loss": 1.0}, 3)
    other.load_state_dict(averages.state_dict())
    other.add("a", {"loss": 5.0}, 1)
    assert other.by_corpus() == {"a": {"loss": 2.0}}
    assert averages.by_corpus() == {"a": {"loss": 1.0}}


def test_counts_of_several_processes_add_up() -> None:
    whole, parts = Averages(), [Averages() for _ in range(3)]
    for rank, corpus, loss, n_windows in ((0, "a", 1.0, 3), (1, "a", 5.0, 1), (1, "b", 2.0, 4)):
        whole.add(corpus, {"loss": loss}, n_windows)
        parts[rank].add(corpus, {"loss": loss}, n_windows)
    merged = Averages.merged(json.loads(json.dumps(part.state_dict())) for part in parts)
    assert merged.by_corpus() == whole.by_corpus() == {"a": {"loss": 2.0}, "b": {"loss": 2.0}}
