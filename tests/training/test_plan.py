"""Order and ratio of windows."""

from collections import Counter

import numpy as np
import pytest

from eegfm.batch import WindowIndex
from eegfm.errors import ConfigError
from eegfm.training.plan import MixturePlan, batch_counts

WEIGHTS = {"tuh": 0.3, "hbn": 0.7}


def index(corpus: str, n_windows: int, montage: str = "m", n_samples: int = 10) -> WindowIndex:
    return WindowIndex(corpus, montage, np.arange(n_windows), np.zeros(n_windows, dtype=np.int64), n_samples)


def plan(n_hbn: int = 210, n_tuh: int = 40, seed: int = 0) -> MixturePlan:
    return MixturePlan({"hbn": [index("hbn", n_hbn)], "tuh": [index("tuh", n_tuh)]}, WEIGHTS, 20, seed)


def test_the_ratio_is_exact_in_every_step() -> None:
    for step in range(40):
        draws = plan().step(step)
        assert [(d.group.corpus, len(d.positions)) for d in draws] == [("hbn", 14), ("tuh", 6)]


def test_an_epoch_shows_every_window_of_a_corpus_before_any_again() -> None:
    mixture = plan(n_hbn=210, n_tuh=40)
    assert mixture.n_steps_per_epoch == 13  # ceil(250 / 20)
    hbn = np.concatenate([mixture.step(k)[0].positions for k in range(13)])
    assert len(np.unique(hbn)) == 182
    tuh = np.concatenate([mixture.step(k)[1].positions for k in range(13)])
    assert sorted(tuh[:40]) == list(range(40))
    assert len(np.unique(tuh[40:])) == 38
    assert tuh[40:].tolist() != tuh[:38].tolist()


def test_steps_do_not_depend_on_what_was_drawn_before() -> None:
    walked, fresh = plan(), plan()
    steps = [walked.step(k) for k in range(30)]
    for k in (29, 3, 17):
        for a, b in zip(fresh.step(k), steps[k], strict=True):
            np.testing.assert_array_equal(a.positions, b.positions)


def test_seeds_and_epochs_change_the_order() -> None:
    first = plan().step(0)[0].positions
    assert first.tolist() != plan(seed=1).step(0)[0].positions.tolist()
    assert first.tolist() != plan().step(13)[0].positions.tolist()


def test_corpora_are_shuffled_apart() -> None:
    mixture = MixturePlan({"a": [index("a", 50)], "b": [index("b", 50)]}, {"a": 0.5, "b": 0.5}, 100, 0)
    a, b = mixture.step(0)
    assert a.positions.tolist() != b.positions.tolist()


def test_a_corpus_smaller_than_its_share_repeats() -> None:
    mixture = MixturePlan({"a": [index("a", 3)]}, {"a": 1.0}, 8, 0)
    counts = Counter(mixture.step(0)[0].positions.tolist())
    assert sorted(counts.values()) == [2, 3, 3]


def test_montages_take_turns_by_their_windows() -> None:
    groups = {"a": [index("a", 900, "m1"), index("a", 100, "m2"), index("a", 0, "m3")]}
    mixture = MixturePlan(groups, {"a": 1.0}, 10, 0)
    draws = [mixture.step(k)[0] for k in range(1000)]  # ten epochs
    turns = Counter(draw.group.montage for draw in draws)
    assert turns["m1"] + turns["m2"] == 1000
    assert 860 <= turns["m1"] <= 940  # four standard errors
    first_epoch = np.concatenate([d.positions for d in draws[:100] if d.group.montage == "m1"])
    assert len(np.unique(first_epoch)) == min(len(first_epoch), 900)


def test_uneven_shares_name_the_nearest_batch_sizes() -> None:
    with pytest.raises(ConfigError, match=r"batch_size 42 .*hbn 29\.4, tuh 12\.6.*: 40 or 50"):
        batch_counts(WEIGHTS, 42)
    with pytest.raises(ConfigError, match=r"batch_size 7 .*: 10;"):
        batch_counts(WEIGHTS, 7)
    thirds = {"a": 1 / 3, "b": 2 / 3}
    assert batch_counts(thirds, 9) == {"a": 3, "b": 6}


def test_senseless_weights_are_refused() -> None:
    for weights in ({"a": 0.5}, {"a": 1.5, "b": -0.5}, {}):
        with pytest.raises(ConfigError, match="positive and sum to 1"):
            batch_counts(weights, 10)


def test_a_corpus_without_windows_is_refused() -> None:
    with pytest.raises(ConfigError, match="corpus tuh"):
        MixturePlan({"hbn": [index("hbn", 20)]}, WEIGHTS, 20, 0)
