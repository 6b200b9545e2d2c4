"""Batches of pairs: nothing twice, the same in every order of asking, and as varied as can be."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawn_examples import examples
from eegfm.batch import rank_slice
from eegfm.errors import ConfigError, SplitError
from eegfm.training.pairings import ConditionPairs, MovieMomentPairs, PairConfig, TimeNeighbourPairs
from eegfm.training.plans.pairs.pair_plan import PairPlan
from eegfm.training.plans.plan import Draw
from eegfm.windows.runs import expand
from pair_tables import Names, negatives, pair_counts, pair_plan, table, viewers

KINDS: list[PairConfig] = [
    MovieMomentPairs(),
    ConditionPairs(),
    ConditionPairs(across="any"),
    TimeNeighbourPairs(max_gap_s=6.0),
]
kinds = pytest.mark.parametrize("pairing", KINDS, ids=["movie_moment", "condition", "any", "time_neighbours"])


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Recordings of a few persons, corpora and montages with a few runs each; some windows overlap, some are alone."""
    rows = []
    for r in range(draw(st.integers(1, 14))):
        person, montage = draw(st.integers(0, 4)), draw(st.sampled_from(["129ch", "21ch"]))
        start, movie = 0, draw(st.sampled_from(["A", "B", None]))
        for segment in range(draw(st.integers(1, 2))):
            n_windows, stride = draw(st.integers(1, 5)), draw(st.sampled_from([100, 200]))
            rows.append(
                {
                    "recording_id": f"p{person}_{r}",
                    "montage": montage,
                    "segment": segment,
                    "start": start,
                    "stride": stride,
                    "n_windows": n_windows,
                    "moment": draw(st.sampled_from([-1, 0, 0, 1])),
                    "label": movie,
                }
            )
            start += n_windows * stride + 300
    return table(rows)


def plan(
    windows: pd.DataFrame, pairing: PairConfig, batch_size: int = 2, seed: int = 0, **ranks: int
) -> PairPlan | None:
    """None where the windows do not give the pairs of a batch."""
    try:
        return pair_plan(windows, pairing, batch_size, seed, **ranks)
    except (SplitError, ConfigError):
        return None


def sure(made: PairPlan | None) -> PairPlan:
    assert made is not None
    return made


def epoch_of(made: PairPlan, epoch: int = 0) -> Iterator[Draw]:
    for step in range(made.n_steps_per_epoch):
        yield from made.step(epoch * made.n_steps_per_epoch + step)


def in_words(windows: pd.DataFrame, draws: Iterable[Draw]) -> list[Any]:
    names = Names(windows)
    return [(d.group.corpus, d.group.montage, d.group.n_samples, names.keys(d)) for d in draws]


def are_alike(one: Any, other: Any, pairing: PairConfig) -> bool:
    """What the kinds of pairs say of two windows, read off the table."""
    if isinstance(pairing, TimeNeighbourPairs):
        return one.recording_id == other.recording_id and abs(one.start - other.start) <= 600
    if isinstance(pairing, MovieMomentPairs):
        same = abs(one.moment - other.moment) * 200 < one.n_samples
        return bool(one.label == other.label and same)
    return bool(one.label == other.label)


def are_a_pair(one: Any, other: Any, pairing: PairConfig) -> bool:
    apart = one.recording_id != other.recording_id or abs(one.start - other.start) >= one.n_samples
    if isinstance(pairing, TimeNeighbourPairs):
        in_one = one.recording_id == other.recording_id and one.segment == other.segment
        return in_one and apart and abs(one.start - other.start) <= 600
    if isinstance(pairing, ConditionPairs) and pairing.across == "any":
        return bool(one.label == other.label and apart)
    same = one.label == other.label and (isinstance(pairing, ConditionPairs) or one.moment == other.moment >= 0)
    return bool(same and one.person != other.person)


@settings(deadline=None, max_examples=examples(20))
@given(tables(), st.sampled_from(KINDS), st.integers(0, 2), st.integers(1, 4))
def test_an_epoch_holds_right_pairs_and_no_window_twice(
    windows: pd.DataFrame, pairing: PairConfig, seed: int, batch_size: int
) -> None:
    made = plan(windows, pairing, batch_size, seed)
    if made is None:
        return
    names = Names(windows)
    for epoch in (0, 3):
        seen: Counter[Any] = Counter()
        for batch in epoch_of(made, epoch):
            assert batch.positions.shape == (2 * batch_size,)
            rows = list(names.rows(batch).itertuples())
            assert all(
                are_a_pair(one, other, pairing) for one, other in zip(rows[:batch_size], rows[batch_size:], strict=True)
            )
            seen.update(names.keys(batch))
        assert max(seen.values()) == 1
        assert seen.total() == 2 * batch_size * made.n_steps_per_epoch
    counts = pair_counts(made)
    assert counts["n_windows"] == windows["n_windows"].sum()
    unusable = counts.get("n_windows_without_label", 0) + counts.get("n_windows_without_moment", 0)
    assert 2 * counts["n_pairs"] + counts["n_windows_without_partner"] + unusable == counts["n_windows"]
    assert counts["n_pairs"] - counts["n_pairs_beyond_batches"] == batch_size * made.n_steps_per_epoch


@settings(deadline=None, max_examples=examples(15))
@given(tables(), st.sampled_from(KINDS), st.randoms(use_true_random=False))
def test_order_of_rows_and_their_division_into_runs_change_nothing(
    windows: pd.DataFrame, pairing: PairConfig, random: Any
) -> None:
    made = plan(windows, pairing)
    every = expand(windows)
    order = list(range(len(every)))
    random.shuffle(order)
    other = every.iloc[order].reset_index(drop=True)
    again = plan(other, pairing)
    assert (made is None) == (again is None)
    if made is not None and again is not None:
        assert pair_counts(made) == pair_counts(again)
        assert in_words(windows, epoch_of(made)) == in_words(other, epoch_of(again))


@settings(deadline=None, max_examples=examples(20))
@given(tables(), st.sampled_from(KINDS), st.sampled_from([2, 3]))
def test_ranks_together_take_what_one_takes(windows: pd.DataFrame, pairing: PairConfig, world_size: int) -> None:
    n = 2 * world_size
    made = plan(windows, pairing, n)
    if made is None:
        return
    ranks = [sure(plan(windows, pairing, n, rank=rank, world_size=world_size)) for rank in range(world_size)]
    for step in range(2 * made.n_steps_per_epoch):
        [whole] = made.step(step)
        for rank, part in enumerate(each for plan_of_rank in ranks for each in plan_of_rank.step(step)):
            own = np.arange(2 * n)[rank_slice(rank, world_size)]
            assert own.tolist() == [*range(rank, n, world_size), *range(n + rank, 2 * n, world_size)]
            assert (part.positions == whole.positions[own]).all()
            assert (negatives(part) == negatives(whole)[np.ix_(own, own)]).all()


@kinds
def test_extents_are_the_windows_of_the_step(pairing: PairConfig) -> None:
    made = sure(plan(viewers(20, 9, ("A", "B")), pairing, 8))
    for step in (0, 1, made.n_steps_per_epoch):
        [draw], [extent] = made.step(step), made.extents(step)
        assert (extent.corpus, extent.montage) == ("hbn", "129ch")
        asked = {
            row for first, n in zip(extent.first_rows, extent.n_rows, strict=True) for row in range(first, first + n)
        }
        taken = {row for first in draw.group.locate(draw.positions)[0] for row in range(first, first + 200)}
        assert asked == taken
        assert (np.diff(extent.first_rows) > extent.n_rows[:-1]).all()
    assert len({made.extents(step)[0].key for step in range(9)}) == 9


@settings(deadline=None, max_examples=examples(20))
@given(tables(), st.sampled_from(KINDS))
def test_negatives_are_those_of_a_plain_loop(windows: pd.DataFrame, pairing: PairConfig) -> None:
    windows = windows.assign(stride=np.int32(200))
    made = plan(windows, pairing)
    names = Names(windows)
    for batch in epoch_of(made) if made is not None else ():
        rows = list(names.rows(batch).itertuples())
        expected = [
            [i % 2 != j % 2 and not are_alike(one, other, pairing) for j, other in enumerate(rows)]
            for i, one in enumerate(rows)
        ]
        assert negatives(batch).tolist() == expected


@kinds
def test_any_step_can_be_asked_for_at_any_time(pairing: PairConfig) -> None:
    windows = viewers(8, 9, ("A", "B"))
    straight = sure(plan(windows, pairing, 4))
    steps = [7, 0, 3 * straight.n_steps_per_epoch + 1, 7, straight.n_steps_per_epoch, 1]
    log = {step: in_words(windows, straight.step(step)) for step in range(4 * straight.n_steps_per_epoch)}
    resumed = sure(plan(windows, pairing, 4))
    assert [in_words(windows, resumed.step(step)) for step in steps] == [log[step] for step in steps]


@kinds
def test_epochs_and_seeds_differ(pairing: PairConfig) -> None:
    windows = viewers(20, 10, ("A", "B"))
    found = [
        str(in_words(windows, epoch_of(sure(plan(windows, pairing, 4, seed)), epoch)))
        for seed, epoch in [(0, 0), (0, 1), (0, 2), (1, 0)]
    ]
    assert len(set(found)) == 4


def test_over_epochs_pairs_repeat_no_sooner_than_at_random() -> None:
    n_persons, n_epochs = 20, 19
    windows = viewers(n_persons, 50)
    made, names = sure(plan(windows, MovieMomentPairs(), 10)), Names(windows)
    met = set()
    for epoch in range(n_epochs):
        for batch in epoch_of(made, epoch):
            # Everybody begins at another sample, below the length of a window: that tells who it is.
            persons_and_moments = [(start % 200, start // 200) for _, start in names.keys(batch)]
            met |= {frozenset(pair) for pair in zip(persons_and_moments[:10], persons_and_moments[10:], strict=True)}
    possible = 50 * n_persons * (n_persons - 1) / 2
    at_random = 1 - (1 - 1 / (n_persons - 1)) ** n_epochs
    assert abs(len(met) / possible - at_random) < 0.02, "0.64 of all pairs; going through them in turn shows all"


def test_a_batch_has_as_many_groups_as_can_be() -> None:
    windows = pd.concat([viewers(12, 10, ("A",)), viewers(40, 3, ("B",))], ignore_index=True)
    made, names = sure(plan(windows, MovieMomentPairs(), 12)), Names(windows)
    n_pairs = Counter({("A", m): 6 for m in range(10)}) + Counter({("B", m): 20 for m in range(3)})
    assert pair_counts(made)["n_pairs"] == n_pairs.total() == 12 * made.n_steps_per_epoch
    for batch in epoch_of(made):
        rows = names.rows(batch).iloc[:12]
        held = Counter(zip(rows["label"], rows["moment"], strict=True))
        for group, n in n_pairs.items():
            assert n // made.n_steps_per_epoch <= held[group] <= -(-n // made.n_steps_per_epoch)


def test_ranks_see_all_conditions() -> None:
    windows = viewers(64, 4, ("open", "closed"))
    names = Names(windows)
    for rank in range(4):
        for batch in epoch_of(sure(plan(windows, ConditionPairs(), 32, rank=rank, world_size=4))):
            assert sorted(Counter(names.rows(batch)["label"]).values()) == [8, 8]


def test_batches_are_of_one_montage_and_montages_share_the_steps_by_their_pairs() -> None:
    windows = pd.concat(
        [
            viewers(20, 30, montage="129ch"),
            viewers(10, 30, montage="64ch"),
            viewers(10, 30, montage="64ch", n_samples=400, stride=400),
        ],
        ignore_index=True,
    )
    made = sure(plan(windows, MovieMomentPairs(), 10))
    order = [(b.group.corpus, b.group.montage, b.group.n_samples) for b in epoch_of(made)]
    assert Counter(order) == {("hbn", "129ch", 200): 30, ("hbn", "64ch", 200): 15, ("hbn", "64ch", 400): 15}
    assert len(set(order[:8])) == 3, "montages are mixed"


def test_what_fills_no_batch_is_counted_said_and_changes(caplog: pytest.LogCaptureFixture) -> None:
    windows = pd.concat([viewers(10, 5), viewers(4, 1, montage="64ch")], ignore_index=True)
    with caplog.at_level(logging.WARNING, "eegfm"):
        made, names = sure(plan(windows, MovieMomentPairs(), 20)), Names(windows)
    assert "hbn 64ch 200 samples: 2 pairs fill no batch of 20" in caplog.text
    assert pair_counts(made)["n_pairs"] == 27
    assert pair_counts(made)["n_pairs_beyond_batches"] == 7
    assert made.n_steps_per_epoch == 1
    seen = Counter(key for epoch in range(40) for key in names.keys(*made.step(epoch)))
    assert len(seen) == 50


def test_no_montage_has_a_batch() -> None:
    with pytest.raises(
        ConfigError, match="a step takes 30 pairs, and no montage has so many, the most are 25 of hbn 129ch 200 samples"
    ):
        pair_plan(viewers(10, 5), MovieMomentPairs(), 30)


def test_corpora_and_montages_have_their_share_of_every_epoch() -> None:
    """A step has a batch of each corpus; over an epoch a montage has its share of its corpus, to one step."""
    windows = pd.concat(
        [
            viewers(20, 30),
            viewers(10, 30, montage="64ch"),
            viewers(10, 30, corpus="other", montage="64ch"),
            viewers(30, 9, corpus="other", montage="32ch"),
        ],
        ignore_index=True,
    )
    made = sure(plan(windows, MovieMomentPairs(), 10))
    pairs = {("hbn", "129ch"): 300, ("hbn", "64ch"): 150, ("other", "64ch"): 150, ("other", "32ch"): 135}
    whole = {kind: n // 10 * 10 for kind, n in pairs.items()}
    assert made.n_steps_per_epoch == sum(whole.values()) // 20
    assert made.n_windows_per_step == 40
    assert made.counts == {"hbn": 20, "other": 20}
    for epoch in range(3):
        steps = [made.step(epoch * made.n_steps_per_epoch + k) for k in range(made.n_steps_per_epoch)]
        assert all([draw.group.corpus for draw in step] == ["hbn", "other"] for step in steps)
        held = Counter((draw.group.corpus, draw.group.montage) for step in steps for draw in step)
        for kind, n in whole.items():
            of_corpus = sum(m for other, m in whole.items() if other[0] == kind[0])
            assert abs(held[kind] - made.n_steps_per_epoch * n / of_corpus) < 1
    assert made.passes_per_epoch == {"hbn": made.n_steps_per_epoch / 45, "other": made.n_steps_per_epoch / 28}


@pytest.mark.parametrize("column", ["cut", "split"])
def test_several_cuts_or_splits_are_refused(column: str) -> None:
    windows = viewers(10, 5).assign(**{column: ["one", "other"] * 5})
    with pytest.raises(ConfigError, match=f"windows of one {column}, these are of one, other"):
        pair_plan(windows, MovieMomentPairs(), 10)


class Counted:
    """A source that says which it is instead of drawing."""

    batch_pairs = 5

    def __init__(self, name: str, n_batches: int) -> None:
        self.name, self.n_batches = name, n_batches

    def draw(self, epoch: int, turn: int) -> "Counted":
        return self

    def part(self, rank: int, world_size: int) -> "Counted":
        return self


def test_many_pairings_whose_batches_have_no_common_divisor_share_the_steps_equally() -> None:
    """The least common multiple of these primes does not fit into 64 bits."""
    totals = (101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 2)
    sources: Any = {"hbn": [[Counted(f"{n} few", 1), Counted(f"{n} more", n - 1)] for n in totals]}
    made = PairPlan(sources, 0)
    held: Counter[str] = Counter()
    for step in range(made.n_steps_per_epoch):
        held.update(cast(Any, draw).name for draw in made.step(step))
    per_pairing = made.n_steps_per_epoch / len(totals)
    for n in totals:
        assert abs(held[f"{n} few"] - per_pairing / n) < 1
        assert abs(held[f"{n} more"] - per_pairing * (n - 1) / n) < 1
