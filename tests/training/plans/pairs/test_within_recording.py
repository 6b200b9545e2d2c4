"""Batches of recordings x moments x two windows: exact, as many as can be, and with negatives of one recording only."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.errors import ConfigError, SplitError
from eegfm.training.pairings import WithinRecordingPairs
from eegfm.training.plans.pairs.pair_plan import PairPlan
from eegfm.training.plans.pairs.within_recording import _most_batches
from pair_tables import Names, negatives, pair_counts, pair_plan, table


def recordings(lengths: list[int], stride: int = 100, **row: Any) -> pd.DataFrame:
    """A person with one recording for each length in windows of 2 s, each with two segments."""
    return table(
        {
            "recording_id": f"p{k:03d}_r", "segment": segment, "start": 7 * k + segment * 90_000, "stride": stride,
            "n_windows": n, **row,
        }
        for k, length in enumerate(lengths)
        for segment, n in enumerate((length // 2, length - length // 2))
        if n
    )  # fmt: skip


def plan(windows: pd.DataFrame, n_pairs: int, seed: int = 0, ranks: Any = None, **options: Any) -> PairPlan:
    pairing = WithinRecordingPairs.model_validate({"max_spread": None, **options})
    return pair_plan(windows, pairing, n_pairs, seed, **(ranks or {}))


@settings(deadline=None, max_examples=12)
@given(
    st.lists(st.integers(0, 40), min_size=2, max_size=6),
    st.integers(1, 3),
    st.sampled_from([2, 3, 4]),
    st.integers(0, 3),
    st.booleans(),
)
def test_batches_are_recordings_by_moments_by_two(
    lengths: list[int], n_recordings: int, moments: int, seed: int, overlap: bool
) -> None:
    windows = recordings(lengths)
    gap = (1.0, 2.0) if overlap else (2.0, 3.0)
    try:
        made = plan(windows, n_recordings * moments, seed, moments=moments, gap_s=gap, allow_overlap=overlap)
    except (ConfigError, SplitError):
        return
    names, n = Names(windows), n_recordings * moments
    for epoch in (0, 5):
        seen: Counter[Any] = Counter()
        for step in range(made.n_steps_per_epoch):
            [draw] = made.step(epoch * made.n_steps_per_epoch + step)
            rows = list(names.rows(draw).itertuples())
            assert len(rows) == 2 * n
            assert sorted(Counter(row.recording_id for row in rows[:n]).values()) == [moments] * n_recordings
            for one, other in zip(rows[:n], rows[n:], strict=True):
                assert (one.recording_id, one.segment) == (other.recording_id, other.segment)
                assert gap[0] * 100 <= other.start - one.start <= gap[1] * 100
            expected = [
                [
                    i % n != j % n
                    and one.recording_id == other.recording_id
                    and abs(one.start - other.start) > gap[1] * 100
                    for j, other in enumerate(rows)
                ]
                for i, one in enumerate(rows)
            ]
            assert negatives(draw).tolist() == expected
            seen.update(names.keys(draw))
        assert max(seen.values()) == 1
    counts = pair_counts(made)
    assert counts["n_windows"] == sum(lengths)
    assert counts["n_pairs"] - counts["n_pairs_beyond_batches"] == n * made.n_steps_per_epoch
    total = 2 * (counts["n_pairs"] + counts["n_pairs_beyond_groups"]) + counts["n_windows_without_partner"]
    assert total == counts["n_windows"]


@settings(deadline=None)
@given(st.lists(st.integers(0, 7), min_size=0, max_size=7), st.integers(1, 4))
def test_no_pass_could_have_more_batches(n_groups: list[int], n_recordings: int) -> None:
    """Against taking the fullest recordings one batch after another, which is best."""
    left, n = sorted(n_groups), 0
    while len(left) >= n_recordings and left[-n_recordings] > 0:
        left = sorted([*left[:-n_recordings], *(m - 1 for m in left[-n_recordings:])])
        n += 1
    assert _most_batches(np.array(n_groups, dtype=np.int64), n_recordings) == n


def test_ranks_share_each_recording_and_any_step_can_be_asked_for() -> None:
    windows = recordings([60, 50, 44, 70, 64, 33])
    whole = plan(windows, 16, moments=8, gap_s=(2, 3))
    ranks = [plan(windows, 16, moments=8, gap_s=(2, 3), ranks={"rank": r, "world_size": 2}) for r in range(2)]
    for step in (2 * whole.n_steps_per_epoch + 1, 0, 1):
        [draw], *parts = whole.step(step), *(made.step(step)[0] for made in ranks)
        for rank, part in enumerate(parts):
            assert (part.positions == draw.positions[rank::2]).all()
            assert part.likeness is not None
            assert draw.likeness is not None
            assert (part.likeness.block == draw.likeness.block[rank::2]).all()
            assert sorted(Counter(part.likeness.block[:8].tolist()).values()) == [4, 4]
    again = plan(windows, 16, moments=8, gap_s=(2, 3))
    [one], [other] = again.step(3), whole.step(3)
    assert (one.positions == other.positions).all()
    [other] = plan(windows, 16, 1, moments=8, gap_s=(2, 3)).step(3)
    assert (one.positions != other.positions).any()


def test_every_recording_and_window_has_its_chance() -> None:
    windows = recordings([20] * 7)
    made, names = plan(windows, 8, moments=4, gap_s=(2, 3)), Names(windows)
    seen = Counter(key for step in range(40 * made.n_steps_per_epoch) for key in names.keys(*made.step(step)))
    assert len(seen) == 140
    of_recordings = Counter(name for name, _ in seen.elements())
    assert max(of_recordings.values()) < 1.2 * min(of_recordings.values())


def test_the_gap_by_default_is_from_one_window_to_one_and_a_half() -> None:
    windows = recordings([80, 80], stride=50)
    made, names = plan(windows, 16), Names(windows)
    gaps = set()
    for step in range(20):
        rows = names.keys(*made.step(step))
        gaps |= {b - a for (_, a), (_, b) in zip(rows[:16], rows[16:], strict=True)}
    assert gaps == {200, 250, 300}


def test_recordings_of_few_moments_are_counted() -> None:
    counts = pair_counts(plan(recordings([40, 10, 40, 3]), 16, moments=8, gap_s=(2, 3)))
    assert (counts["n_recordings"], counts["n_recordings_of_few_moments"]) == (4, 2)


def test_what_cannot_be_says_why() -> None:
    with pytest.raises(ConfigError, match=r"gap_s \[1, 1\.5\] leaves no pair of windows of 2 s .* length_s: 2"):
        plan(recordings([40, 40]), 16, gap_s=(1, 1.5))
    with pytest.raises(SplitError, match=r"no within_recording pair in corpus hbn \(.*n_recordings 2, .*lower pairs"):
        plan(recordings([10, 10]), 16)
    with pytest.raises(ConfigError, match=r"takes 24 pairs of 8 in each of as many recordings.* most are 32 of hbn"):
        plan(recordings([40, 40]), 24)
