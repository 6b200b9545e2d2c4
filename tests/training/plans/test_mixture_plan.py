"""Order and ratio of windows."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from eegfm.batch import WindowIndex
from eegfm.errors import ConfigError
from eegfm.mixture.shares import batch_counts, rounded_weights
from eegfm.training.blocks import ShuffleParams
from eegfm.training.plans.mixture_plan import MixturePlan

WEIGHTS = {"tuh": 0.3, "hbn": 0.7}
RUNS = ShuffleParams(run_windows=4, pool_windows=64)
MODES: dict[str, dict[str, Any]] = {
    "windows": {},
    "runs": {"shuffle": RUNS},
    "persons": {"drawn_by": "persons"},
    "limit": {"max_windows_per_person": 7},
    "limited runs": {"max_windows_per_person": 7, "shuffle": RUNS},
    "limited persons": {"max_windows_per_person": 7, "drawn_by": "persons"},
    "classes": {"drawn_by": "classes"},
}
modes = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)


def index(
    corpus: str, runs: Iterable[int], montage: str = "m", first_person: int = 0, n_samples: int = 10
) -> WindowIndex:
    """One run per person, of so many windows; row numbers tell windows of all groups of a corpus apart."""
    counts = np.array(list(runs), dtype=np.int64)
    first_rows = 1_000_000 * (first_person + 1) + 1000 * n_samples * np.arange(len(counts))
    persons = first_person + np.arange(len(counts), dtype=np.int32)
    targets = {"label": np.arange(len(counts), dtype=np.int32) % 5 - 1}  # a class per run; the first has none
    return WindowIndex(corpus, montage, n_samples, n_samples, first_rows, persons, persons, np.cumsum(counts), targets)


def even(corpus: str, n_windows: int, montage: str = "m", first_person: int = 0) -> WindowIndex:
    """Ten windows per person."""
    return index(corpus, [10] * (n_windows // 10), montage, first_person)


GROUPS = {
    "hbn": [index("hbn", [12, 1, 30, 7, 90, 3, 21, 6], "large"), index("hbn", [5, 40, 9], "small", 8)],
    "tuh": [index("tuh", [10, 2, 33])],
}


def plan(n_hbn: int = 210, n_tuh: int = 40, seed: int = 0, **mode: Any) -> MixturePlan:
    return MixturePlan({"hbn": [even("hbn", n_hbn)], "tuh": [even("tuh", n_tuh)]}, WEIGHTS, 20, seed, **mode)


def log_of(mixture: MixturePlan, steps: Iterable[int]) -> list[list[tuple[str, str, list[int]]]]:
    """What the steps take: corpus, montage, rows."""
    return [
        [(d.group.corpus, d.group.montage, d.group.locate(d.positions)[0].tolist()) for d in mixture.step(step)]
        for step in steps
    ]


@modes
def test_the_ratio_is_exact_in_every_step_and_so_over_an_epoch(mode: dict[str, Any]) -> None:
    mixture = MixturePlan(GROUPS, WEIGHTS, 20, 0, **mode)
    total: Counter[str] = Counter()
    for step in range(mixture.n_steps_per_epoch):
        draws = mixture.step(step)
        assert [(d.group.corpus, len(d.positions)) for d in draws] == [("hbn", 14), ("tuh", 6)]
        total.update({d.group.corpus: len(d.positions) for d in draws})
    assert total["hbn"] / total.total() == pytest.approx(0.7, rel=1e-3)


@modes
def test_two_ranks_together_take_what_one_takes(mode: dict[str, Any]) -> None:
    one = MixturePlan(GROUPS, WEIGHTS, 20, 3, **mode)
    ranks = [MixturePlan(GROUPS, WEIGHTS, 20, 3, rank=rank, world_size=2, **mode) for rank in range(2)]
    steps = range(3 * one.n_steps_per_epoch)  # over epochs
    for whole, a, b in zip(log_of(one, steps), *(log_of(each, steps) for each in ranks), strict=True):
        assert whole == [
            (c, m, [r for two in zip(x, y, strict=True) for r in two])
            for (c, m, x), (_, _, y) in zip(a, b, strict=True)
        ]
        assert [m for _, m, _ in a] == [m for _, m, _ in b]


@modes
def test_resuming_at_any_step_takes_the_same(mode: dict[str, Any]) -> None:
    walked = MixturePlan(GROUPS, WEIGHTS, 20, 5, **mode)
    steps = log_of(walked, range(5 * walked.n_steps_per_epoch))
    for first in np.random.default_rng(0).choice(len(steps) - 5, 5, replace=False).tolist():
        fresh = MixturePlan(GROUPS, WEIGHTS, 20, 5, **mode)
        assert log_of(fresh, range(first, first + 5)) == steps[first : first + 5]


@modes
def test_seeds_and_epochs_change_the_order(mode: dict[str, Any]) -> None:
    mixture = MixturePlan(GROUPS, WEIGHTS, 20, 0, **mode)
    other = MixturePlan(GROUPS, WEIGHTS, 20, 1, **mode)
    n = mixture.n_steps_per_epoch
    for corpus in range(2):
        rows = [
            log_of(p, [step])[0][corpus][2] for p, step in ((mixture, 0), (other, 0), (mixture, n), (mixture, 2 * n))
        ]
        assert all(a != b for a, b in pairwise(rows))


def test_an_epoch_shows_every_window_of_a_corpus_before_any_again() -> None:
    for mode in ({}, {"shuffle": RUNS}):
        mixture = plan(n_hbn=210, n_tuh=40, **mode)
        assert mixture.n_steps_per_epoch == 13  # ceil(250 / 20)
        hbn = np.concatenate([mixture.step(k)[0].positions for k in range(13)])
        assert len(np.unique(hbn)) == 182
        tuh = np.concatenate([mixture.step(k)[1].positions for k in range(13)])
        assert sorted(tuh[:40]) == list(range(40))
        assert len(np.unique(tuh[40:])) == 38
        assert tuh[40:].tolist() != tuh[:38].tolist()
        assert mixture.passes_per_epoch == {"hbn": pytest.approx(182 / 210), "tuh": pytest.approx(78 / 40)}


def test_corpora_are_shuffled_apart_and_alone() -> None:
    both = MixturePlan({"a": [even("a", 50)], "b": [even("b", 50)]}, {"a": 0.5, "b": 0.5}, 100, 0)
    a, b = both.step(0)
    assert a.positions.tolist() != b.positions.tolist()
    alone = MixturePlan({"b": [even("b", 50)]}, {"b": 1.0}, 50, 0)
    assert alone.step(0)[0].positions.tolist() == b.positions.tolist()


def test_a_corpus_smaller_than_its_share_repeats() -> None:
    mixture = MixturePlan({"a": [index("a", [3])]}, {"a": 1.0}, 8, 0)
    counts = Counter(mixture.step(0)[0].positions.tolist())
    assert sorted(counts.values()) == [2, 3, 3]


@pytest.mark.parametrize("sizes", [(300, 40), (50, 300, 50), (110, 110, 110, 10)])
@pytest.mark.parametrize("mode", ["windows", "runs", "limit", "persons"])
def test_montages_have_their_share_of_every_epoch_to_one_step(sizes: tuple[int, ...], mode: str) -> None:
    groups = [even("a", n, f"m{k}", 1000 * k) for k, n in enumerate(sizes)]
    mixture = MixturePlan({"a": [*groups, index("a", [], "empty")]}, {"a": 1.0}, 10, 0, **MODES[mode])
    n_steps, total = mixture.n_steps_per_epoch, sum(sizes)
    overall: Counter[str] = Counter()
    for epoch in range(6):
        draws = [mixture.step(epoch * n_steps + k)[0] for k in range(n_steps)]
        turns = Counter(draw.group.montage for draw in draws)
        overall.update(turns)
        assert turns.total() == n_steps
        for k, n in enumerate(sizes):
            assert abs(turns[f"m{k}"] - n_steps * n / total) < 1
        if mode in ("windows", "runs"):
            for group in groups:  # turns follow one another: no window comes again before all have come
                own = [d.positions for d in draws if d.group is group]
                shown = np.concatenate(own) if own else np.array([])
                assert len(np.unique(shown)) == min(len(shown), len(group))
    for k, n in enumerate(sizes):  # what one epoch rounds up another rounds down
        assert overall[f"m{k}"] == pytest.approx(6 * n_steps * n / total, abs=4)


def test_turns_of_a_montage_are_spread_over_the_epoch() -> None:
    groups = [even("a", n, f"m{k}", 1000 * k) for k, n in enumerate((900, 300, 100))]
    mixture = MixturePlan({"a": groups}, {"a": 1.0}, 10, 0)
    turns = [mixture.step(k)[0].group.montage for k in range(mixture.n_steps_per_epoch)]
    for montage, share in (("m0", 9 / 13), ("m1", 3 / 13), ("m2", 1 / 13)):
        earlier = np.cumsum([turn == montage for turn in turns])
        assert np.abs(earlier - share * np.arange(1, len(turns) + 1)).max() < 2
    firsts = Counter(mixture.step(epoch * len(turns))[0].group.montage for epoch in range(60))
    assert 25 <= firsts["m0"] <= 57  # 41.5 expected: where turns fall changes with the epoch
    assert firsts["m1"] >= 2


@pytest.mark.parametrize("limit", [None, 7])
def test_persons_take_turns(limit: int | None) -> None:
    mixture = MixturePlan(GROUPS, WEIGHTS, 20, 0, drawn_by="persons", max_windows_per_person=limit)
    drawn = {"large": [], "small": [], "m": []}
    for step in range(mixture.n_steps_per_epoch):
        for draw in mixture.step(step):
            drawn[draw.group.montage] += draw.group.persons[draw.group.runs_of(draw.positions)[0]].tolist()
    for persons, n_persons in ((drawn["large"], 8), (drawn["small"], 3), (drawn["m"], 3)):
        counts = Counter(persons)
        assert len(counts) == n_persons
        assert max(counts.values()) - min(counts.values()) <= 1
    n_large, n_small = len(drawn["large"]), len(drawn["small"])
    assert abs(n_large - (n_large + n_small) * 8 / 11) < 14  # turns of montages go by persons, to one step


def test_limits_hold_in_every_epoch_against_a_plain_count() -> None:
    """A person with windows in two montages has one limit."""
    groups = {"a": [index("a", [30, 4, 11], "m1"), index("a", [60, 2], "m2", 1)]}  # persons 1 and 2 are in both
    limit, n_windows = 10, 10 + 10 + 10
    mixture = MixturePlan(groups, {"a": 1.0}, 1, 0, max_windows_per_person=limit)
    assert mixture.n_steps_per_epoch == n_windows
    shown: list[frozenset[tuple[str, int]]] = []
    for epoch in range(8):
        seen = []
        for k in range(mixture.n_steps_per_epoch):
            draw = mixture.step(epoch * mixture.n_steps_per_epoch + k)[0]
            person = int(draw.group.persons[draw.group.runs_of(draw.positions)[0]][0])
            seen.append((person, draw.group.montage, int(draw.positions[0])))
        assert len(set(seen)) == n_windows  # batches of one window, so that turns come out even
        assert Counter(person for person, _, _ in seen) == {0: 10, 1: 10, 2: 10}
        shown.append(frozenset((m, p) for _, m, p in seen))
    assert len(set(shown)) == 8  # another sample in every epoch
    assert len(frozenset.union(*shown)) > 60


@pytest.mark.parametrize("limit", [None, 7])
def test_extents_hold_what_the_step_takes_and_no_more_than_its_pools(limit: int | None) -> None:
    keys: dict[tuple[Any, ...], tuple[list[int], list[int]]] = {}
    mixture = MixturePlan(GROUPS, WEIGHTS, 20, 0, shuffle=RUNS, max_windows_per_person=limit)
    for step in range(60):
        rows = {(c, m): set(r) for c, m, r in log_of(mixture, [step])[0]}
        extents = mixture.extents(step)
        assert {(e.corpus, e.montage) for e in extents} == set(rows)
        for extent in extents:
            known = keys.setdefault(extent.key, (extent.first_rows.tolist(), extent.n_rows.tolist()))
            assert known == (extent.first_rows.tolist(), extent.n_rows.tolist())
            assert (np.diff(extent.first_rows) > extent.n_rows[:-1]).all()  # sorted, apart, merged where they touch
            assert extent.n_rows.sum() <= 64 * 10
        for (corpus, montage), firsts in rows.items():
            own = [e for e in extents if (e.corpus, e.montage) == (corpus, montage)]
            covered = {row for e in own for a, n in zip(e.first_rows, e.n_rows, strict=True) for row in range(a, a + n)}
            assert {first + k for first in firsts for k in range(10)} <= covered
    assert 4 <= len(keys) < 80  # of 120 micro-batches, although epochs are short


def test_extents_of_a_full_shuffle_are_the_windows_of_the_step() -> None:
    mixture = MixturePlan(GROUPS, WEIGHTS, 20, 0)
    ranked = MixturePlan(GROUPS, WEIGHTS, 20, 0, rank=1, world_size=2)
    for step, part in ((3, mixture), (3, ranked)):
        extents = part.extents(step)
        for extent, (corpus, montage, rows) in zip(extents, log_of(part, [step])[0], strict=True):
            assert (extent.corpus, extent.montage) == (corpus, montage)
            assert extent.n_rows.sum() == 10 * len(set(rows))
            assert set(extent.first_rows.tolist()) <= set(rows)
    assert len({extent.key for step in range(20) for extent in mixture.extents(step)}) == 40


def test_overlapping_windows_are_read_once() -> None:
    group = WindowIndex("a", "m", 10, 4, np.array([100]), np.zeros(1, np.int32), np.zeros(1, np.int32), np.array([5]))
    [extent] = MixturePlan({"a": [group]}, {"a": 1.0}, 5, 0).extents(0)
    assert (extent.first_rows.tolist(), extent.n_rows.tolist()) == ([100], [4 * 4 + 10])


def test_uneven_shares_name_the_nearest_batch_sizes() -> None:
    with pytest.raises(ConfigError, match=r"batch_size 42 .*hbn 29\.4, tuh 12\.6 windows\).*: 40 or 50"):
        batch_counts(WEIGHTS, 42)
    with pytest.raises(ConfigError, match=r"batch_size 7 .*: 10;"):
        batch_counts(WEIGHTS, 7)
    thirds = {"a": 1 / 3, "b": 2 / 3}
    assert batch_counts(thirds, 9) == {"a": 3, "b": 6}


def test_batches_that_ranks_cannot_share_name_the_nearest_sizes() -> None:
    assert batch_counts(WEIGHTS, 40, 2) == {"hbn": 28, "tuh": 12}
    with pytest.raises(
        ConfigError, match=r"batch_size 30 .*\(hbn 10\.5, tuh 4\.5 windows on each of 2 devices\).*: 20 or 40;"
    ):
        batch_counts(WEIGHTS, 30, 2)
    for size in (20, 40):
        assert batch_counts(WEIGHTS, size, 2)
    with pytest.raises(ConfigError, match="2 devices"):
        MixturePlan(GROUPS, WEIGHTS, 30, 0, world_size=2)


def test_batches_that_accumulation_cannot_share_name_the_nearest_sizes() -> None:
    assert batch_counts(WEIGHTS, 80, 2, 4) == {"hbn": 56, "tuh": 24}
    with pytest.raises(
        ConfigError,
        match=r"batch_size 60 .*\(hbn 10\.5, tuh 4\.5 windows in each of the 4 parts that accumulate asks for\); "
        "nearest batch sizes that can: 40 or 80; change batch_size, accumulate or the weights",
    ):
        batch_counts(WEIGHTS, 60, n_cuts=4)
    with pytest.raises(ConfigError, match=r"4 parts that accumulate asks for on each of 2 devices\).*can: 80;"):
        MixturePlan(GROUPS, WEIGHTS, 40, 0, world_size=2, n_cuts=4)
    for n_cuts, world_size in ((4, 1), (2, 2)):
        sizes = {"a": 60, "b": 40}
        assert batch_counts(rounded_weights(sizes, 8, world_size, n_cuts), 8, world_size, n_cuts) == {"a": 4, "b": 4}
    with pytest.raises(ConfigError, match=r"batch_size 6 .*4 parts that .*of 4, at least 8: nearest 8$"):
        rounded_weights({"a": 1, "b": 1}, 6, n_cuts=4)
    with pytest.raises(ConfigError, match=r"batch_size 11 .*nearest 8 or 12$"):
        rounded_weights({"a": 1, "b": 1}, 11, n_cuts=4)


def test_counts_that_pairs_cannot_share_name_the_nearest_sizes() -> None:
    """Pairs stay whole on every rank, and moments of a recording in a batch."""
    multiples = {"hbn": 16, "tuh": 4}
    assert batch_counts(WEIGHTS, 160, multiples=multiples) == {"hbn": 112, "tuh": 48}
    with pytest.raises(
        ConfigError,
        match=r"batch_size 200 .*\(hbn 140, tuh 60 windows; pairs need multiples of: hbn 16, tuh 4 windows, all "
        r"devices together\); nearest batch sizes that can: 160 or 320;",
    ):
        batch_counts(WEIGHTS, 200, multiples=multiples)
    assert batch_counts(WEIGHTS, 80, multiples={"hbn": 8, "tuh": 8}) == {"hbn": 56, "tuh": 24}
    assert batch_counts(WEIGHTS, 40, 2, multiples={"hbn": 4, "tuh": 4}) == {"hbn": 28, "tuh": 12}
    with pytest.raises(ConfigError, match="nearest batch sizes that can: 40 or 80"):
        batch_counts(WEIGHTS, 60, 2, multiples={"hbn": 4, "tuh": 4})
    for multiple in (4, 16):
        counts = batch_counts(rounded_weights({"a": 60, "b": 40}, 96, multiple=multiple), 96)
        assert counts == {"a": 56, "b": 40} if multiple == 4 else {"a": 64, "b": 32}
    with pytest.raises(ConfigError, match=r"batch_size 40 .*multiple of 16, at least 32: nearest 32 or 48"):
        rounded_weights({"a": 1, "b": 1}, 40, multiple=16)


def test_shares_of_hours_are_shared_out_exactly() -> None:
    total = 0.7 / 400 + 0.3 / 1000  # windows of 4 s and 10 s
    weights = {"hbn": 0.7 / 400 / total, "tuh": 0.3 / 1000 / total}
    counts = batch_counts(weights, 41)
    assert counts == {"hbn": 35, "tuh": 6}
    assert counts["hbn"] * 4 / (counts["hbn"] * 4 + counts["tuh"] * 10) == pytest.approx(0.7)
    with pytest.raises(ConfigError, match=r"batch_size 40 .*: 41;"):
        batch_counts(weights, 40)


def test_senseless_weights_are_refused() -> None:
    for weights in ({"a": 0.5}, {"a": 1.5, "b": -0.5}, {}):
        with pytest.raises(ConfigError, match="positive and sum to 1"):
            batch_counts(weights, 10)


@pytest.mark.parametrize(
    ("sizes", "batch_size", "world_size", "counts"),
    [
        ({"a": 60, "b": 30, "c": 10}, 10, 1, {"a": 6, "b": 3, "c": 1}),
        (
            {"a": 47, "b": 16, "c": 15.8, "d": 12, "e": 6.1, "f": 3.1},
            10,
            1,
            {"a": 5, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1},
        ),
        ({"a": 1e9, "b": 1}, 8, 1, {"a": 7, "b": 1}),
        ({"a": 1e9, "b": 1, "c": 1}, 3, 1, {"a": 1, "b": 1, "c": 1}),
        ({"a": 1, "b": 1}, 5, 1, {"a": 3, "b": 2}),
        ({"a": 5, "b": 4}, 2048, 1, {"a": 1138, "b": 910}),
        ({"a": 60, "b": 40}, 8, 4, {"a": 4, "b": 4}),
    ],
)
def test_weights_by_size_become_whole_windows(
    sizes: dict[str, float], batch_size: int, world_size: int, counts: dict[str, int]
) -> None:
    assert batch_counts(rounded_weights(sizes, batch_size, world_size), batch_size, world_size) == counts


def test_a_batch_too_small_for_all_corpora_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"batch_size 3 cannot hold 2 corpora on each of 2 devices; .*multiple of 2.*least 4"
    ):
        rounded_weights({"a": 1, "b": 1}, 3, 2)
    with pytest.raises(ConfigError, match="at least 2"):
        rounded_weights({"a": 1, "b": 1}, 1)


def test_a_corpus_without_windows_is_refused() -> None:
    with pytest.raises(ConfigError, match="corpus tuh"):
        MixturePlan({"hbn": [even("hbn", 20)]}, WEIGHTS, 20, 0)


def test_runs_and_rounds_of_persons_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match=r"shuffle\.run_windows 4: persons in turn"):
        MixturePlan(GROUPS, WEIGHTS, 20, 0, shuffle=RUNS, drawn_by="persons")


def test_a_pool_smaller_than_a_run_is_refused() -> None:
    with pytest.raises(ValidationError, match="pool_windows 8 is less than run_windows 16"):
        ShuffleParams(run_windows=16, pool_windows=8)


def classes_drawn(mixture: MixturePlan, steps: Iterable[int]) -> dict[str, Counter[int]]:
    """By montage, how often each class is drawn."""
    drawn: dict[str, Counter[int]] = {}
    for step in steps:
        for draw in mixture.step(step):
            labels = draw.group.targets["label"][draw.group.runs_of(draw.positions)[0]]
            drawn.setdefault(draw.group.montage, Counter()).update(labels.tolist())
    return drawn


def test_classes_take_turns_in_every_montage() -> None:
    """Windows by class of ``large``: 1 + 6, 30 + 21, 7, 90; of ``small``: 40, 9; a run without a class in each."""
    mixture = MixturePlan({"hbn": GROUPS["hbn"]}, {"hbn": 1.0}, 20, 0, drawn_by="classes")
    assert mixture.n_steps_per_epoch == -(-(170 - 12 - 3 + 54 - 5) // 20)
    drawn = classes_drawn(mixture, range(3 * mixture.n_steps_per_epoch))
    for montage, n_classes in (("large", 4), ("small", 2)):
        counts = drawn[montage]
        assert sorted(counts) == list(range(n_classes))
        assert max(counts.values()) - min(counts.values()) <= 3  # a round cut short in each epoch
    share = drawn["large"].total() / (drawn["large"].total() + drawn["small"].total())
    assert share == pytest.approx(155 / 204, abs=0.05)


def test_classes_in_turn_need_classes_and_know_no_limit() -> None:
    groups = {"a": [even("a", 40)]}
    unlabelled = {"a": [replace(groups["a"][0], targets={})]}
    with pytest.raises(ConfigError, match=r"^windows of corpus a have no class to take turns by \(drawn by classes\)"):
        MixturePlan(unlabelled, {"a": 1.0}, 20, 0, drawn_by="classes")
    with pytest.raises(ConfigError, match=r"^max_windows_per_person 3: windows of classes in turn have no limit"):
        MixturePlan(groups, {"a": 1.0}, 20, 0, drawn_by="classes", max_windows_per_person=3)
    with pytest.raises(ConfigError, match=r"run_windows 4: classes in turn are no runs .*draw by windows"):
        MixturePlan(groups, {"a": 1.0}, 20, 0, drawn_by="classes", shuffle=RUNS)
