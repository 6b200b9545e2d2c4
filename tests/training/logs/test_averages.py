"""Means of what a run logs."""

import json

import pytest

from eegfm.training.logs.averages import Averages, mixed, of_known, with_r2


def test_means_count_windows_then_weights() -> None:
    averages = Averages()
    averages.add("a", {"loss": 1.0}, 3)
    averages.add("a", {"loss": 5.0}, 1)
    averages.add("b", {"loss": 4.0}, 10)
    assert averages.by_corpus() == {"a": {"loss": 2.0}, "b": {"loss": 4.0}}
    weights = {"a": 0.25, "b": 0.5, "absent": 0.25}
    assert mixed(averages.by_corpus(), weights)["loss"] == pytest.approx((0.25 * 2 + 0.5 * 4) / 0.75)


def test_a_value_of_some_batches_is_averaged_over_theirs() -> None:
    averages = Averages()
    for corpus, n_windows, values in (
        ("a", 3, {"x": 1.0, "loss": 1.0}),
        ("a", 5, {"loss": 1.0}),
        ("b", 2, {"loss": 1.0}),
    ):
        averages.add(corpus, values, n_windows)
    averages.add("a", {"x": 4.0, "loss": 1.0}, 1)
    by_corpus = averages.by_corpus()
    assert by_corpus == {"a": {"x": (3 * 1 + 4) / 4, "loss": 1.0}, "b": {"loss": 1.0}}
    assert mixed(by_corpus, {"a": 0.25, "b": 0.75}) == {"x": 7 / 4, "loss": 1.0}


def test_r2_is_a_ratio_of_means() -> None:
    assert with_r2({"loss": 1.0, "baseline_loss": 4.0}) == {"loss": 1.0, "baseline_loss": 4.0, "r2": 0.75}
    assert with_r2({"loss": 1.0}) == {"loss": 1.0}
    assert with_r2({"loss": 0.0, "baseline_loss": 0.0})["r2"] == 1.0


def test_r2_is_that_of_the_task_without_auxiliary_heads() -> None:
    assert with_r2({"loss": 9.0, "own_loss": 1.0, "baseline_loss": 4.0})["r2"] == 0.75


def test_scores_of_labels_are_means_over_the_windows_whose_label_is_known() -> None:
    errors = {"a": [3.0, None, 5.0, None], "b": [7.0], "c": [None, None]}  # of one window each
    averages = Averages()
    for corpus, of_windows in errors.items():
        for part in (of_windows[:1], of_windows[1:]):  # micro-batches of several sizes
            known = [e for e in part if e is not None]
            logs = {"age_mae": sum(known) / max(len(part), 1), "age_known": len(known) / max(len(part), 1), "loss": 1.0}
            averages.add(corpus, logs, len(part))
    by_corpus = averages.by_corpus()
    assert of_known(by_corpus["a"]) == pytest.approx({"age_mae": 4.0, "age_known": 0.5, "loss": 1.0})
    assert of_known(by_corpus["c"]) == {"age_known": 0.0, "loss": 1.0}
    # Over the mixture, every window counts by its corpus's weight over that corpus's windows.
    weights = {"a": 0.5, "b": 0.25, "c": 0.25}
    expected = (0.5 * (3 + 5) / 4 + 0.25 * 7) / (0.5 * 2 / 4 + 0.25)
    assert of_known(mixed(by_corpus, weights))["age_mae"] == pytest.approx(expected)


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
