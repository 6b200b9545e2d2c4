"""The menu of pairs: what it accepts, which windows it groups, which it leaves out."""

from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from eegfm.errors import ConfigError, SplitError
from eegfm.store.stores import Stores
from eegfm.training.loading.groups import window_groups
from eegfm.training.pairings import PairConfig
from eegfm.training.plans.pairs.matching import Bits
from eegfm.training.plans.pairs.pair_plan import PairPlan
from eegfm.training.plans.pairs.stratum import MISSING, strata
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.runs import NO_MOMENT
from eegfm.windows.tasks.hbn_movies import MOVIES
from pair_tables import Names, negatives, pair_counts, pair_plan, stores_of, table, viewers


def kind(**values: Any) -> PairConfig:
    pairing: PairConfig = TypeAdapter(PairConfig).validate_python(values)
    return pairing


def plan(windows: pd.DataFrame, batch_size: int = 1, seed: int = 0, **values: Any) -> PairPlan:
    return pair_plan(windows, kind(**values), batch_size, seed)


def couples(windows: pd.DataFrame, made: PairPlan, n_epochs: int = 1) -> set[frozenset[tuple[str, int]]]:
    """Pairs of the first epochs."""
    names, found = Names(windows), set()
    for step in range(n_epochs * made.n_steps_per_epoch):
        rows = names.keys(*made.step(step))
        found |= {frozenset(pair) for pair in zip(rows[: len(rows) // 2], rows[len(rows) // 2 :], strict=True)}
    return found


def test_movie_moments_are_told_apart_by_movie_and_moment_wherever_recordings_begin() -> None:
    windows = table(
        [
            {"recording_id": "p0_a", "label": "A", "moment": 0, "start": 500, "n_windows": 2},
            {"recording_id": "p1_a", "label": "A", "moment": 1, "start": 900, "n_windows": 2},
            {"recording_id": "p2_b", "label": "B", "moment": 1, "start": 500},
            {"recording_id": "p0_r", "label": "A", "moment": -1, "start": 0, "n_windows": 2},
            {"recording_id": "p1_r", "label": None, "moment": 1, "start": 0},
        ]
    )
    made = plan(windows, name="movie_moment")
    assert couples(windows, made) == {frozenset([("p0_a", 700), ("p1_a", 900)])}
    assert pair_counts(made) == {
        "n_pairs": 1,
        "n_windows": 8,
        "n_windows_without_label": 1,
        "n_windows_without_moment": 2,
        "n_groups": 4,
        "n_groups_of_one_person": 3,
        "n_windows_without_partner": 3,
        "n_pairs_beyond_batches": 0,
    }


def test_a_person_is_an_identity_where_there_is_one() -> None:
    rows = [{"recording_id": f"p{p}_a", "label": "A", "moment": 0, "identity": f"i{p // 2}"} for p in range(4)]
    windows = table(rows)
    made = plan(windows, name="movie_moment")
    for pair in couples(windows, made, 8):
        assert len({int(recording[1]) // 2 for recording, _ in pair}) == 2
    assert pair_counts(made)["n_pairs"] == 2


def test_no_pair_at_all_is_an_error_with_the_counts() -> None:
    windows = viewers(1, 5, movies=("A", "B"))
    message = r"no movie_moment pair in corpus hbn \(n_pairs 0, n_windows 10, .*n_groups 10, n_groups_of_one_person 10"
    with pytest.raises(SplitError, match=message):
        plan(windows, name="movie_moment")
    with pytest.raises(SplitError, match="no condition pair"):
        plan(windows.iloc[:0], name="condition")
    with pytest.raises(SplitError, match="n_windows_without_label 3"):
        plan(table([{"recording_id": "p0_a", "n_windows": 3}]), name="condition")


def eyes(n_persons: int, n_each: int, stride: int = 200) -> pd.DataFrame:
    run = {"n_windows": n_each, "stride": stride}
    return table(
        {"recording_id": f"p{p}_r", "label": label, "start": start, **run}
        for p in range(n_persons)
        for label, start in (("open", 0), ("closed", 5000))
    )


def test_conditions_across_persons() -> None:
    windows = eyes(3, 4)
    found = couples(windows, plan(windows, name="condition"), 20)
    assert all(len({recording for recording, _ in pair}) == 2 for pair in found)
    assert all(len({start >= 5000 for _, start in pair}) == 1 for pair in found)


def test_conditions_across_any_pair_within_persons_too() -> None:
    windows = eyes(2, 6)
    made = plan(windows, name="condition", across="any")
    assert pair_counts(made)["n_pairs"] == 12
    found = couples(windows, made, 120)
    assert all(len({start >= 5000 for _, start in pair}) == 1 for pair in found)
    n_within = sum(len({recording for recording, _ in pair}) == 1 for pair in found)
    assert len(found) == 2 * 12 * 11 / 2
    assert n_within == 2 * 2 * 6 * 5 / 2


def test_conditions_never_pair_windows_that_share_samples() -> None:
    windows = eyes(3, 4, stride=100)
    made = plan(windows, name="condition", across="any")
    assert pair_counts(made)["n_groups_of_one_stretch"] == 0
    for pair in couples(windows, made, 20):
        (one, a), (other, b) = pair
        assert one != other or abs(a - b) >= 200
    alone = eyes(1, 4, stride=100)
    with pytest.raises(SplitError, match="n_groups_of_one_stretch 2"):
        plan(alone, name="condition", across="any")


def test_stretches_end_where_windows_of_one_condition_stop_overlapping() -> None:
    rows = [
        *({"recording_id": "p0_r", "label": "open", "start": start} for start in (0, 150, 360)),
        *({"recording_id": "p0_r", "label": "closed", "start": start} for start in (200, 400)),
        {"recording_id": "p0_s", "label": "closed", "start": 500},
    ]
    windows = table(rows)
    stores = cast(Stores, stores_of(windows))
    (stratum,) = strata(windows, window_groups(windows.assign(split="train"), stores, "train"), stores)
    matching = kind(name="condition", across="any").build().matching(stratum, 100.0)
    assert matching.n_pairs == 2
    seen = set()
    for seed in range(40):
        for one, other in zip(*matching.draw(Bits(seed)), strict=True):
            seen.add(frozenset([int(stratum.start[one]), int(stratum.start[other])]))
    assert seen == {frozenset(p) for p in [(0, 360), (150, 360), (200, 400), (200, 500), (400, 500)]}


def test_neighbours_lie_in_one_segment_within_the_gap() -> None:
    windows = table(
        [
            {"recording_id": "p0_r", "segment": 0, "start": 0, "n_windows": 30},
            {"recording_id": "p0_r", "segment": 1, "start": 6000, "n_windows": 30},
            {"recording_id": "p1_r", "segment": 0, "start": 0, "n_windows": 30},
            {"recording_id": "p2_r", "segment": 0, "start": 0, "n_windows": 1},
        ]
    )
    made = plan(windows, name="time_neighbours", max_gap_s=6.0)
    assert pair_counts(made)["n_groups_without_neighbours"] == 1
    gaps = set()
    for pair in couples(windows, made, 20):
        (one, a), (other, b) = sorted(pair)
        assert one == other
        assert (a >= 6000) == (b >= 6000)
        gaps.add(b - a)
    assert gaps == {200, 400, 600}


def test_neighbours_overlap_only_where_that_is_allowed() -> None:
    windows = table([{"recording_id": "p0_r", "stride": 50, "n_windows": 40}])
    with pytest.raises(ConfigError, match=r"max_gap_s 1\.5 leaves no pair of windows of 2 s \(hbn 129ch 200 samples\)"):
        plan(windows, name="time_neighbours", max_gap_s=1.5)
    for allow_overlap, max_gap_s, expected in [(True, 1.5, {50, 100, 150}), (False, 2.5, {200, 250})]:
        made = plan(windows, name="time_neighbours", max_gap_s=max_gap_s, allow_overlap=allow_overlap)
        assert {abs(a - b) for (_, a), (_, b) in map(tuple, couples(windows, made, 10))} == expected


def test_a_gap_longer_than_any_recording_takes_every_two_windows_of_a_segment() -> None:
    windows = table({"recording_id": f"p{p}_r", "n_windows": 8} for p in range(2))
    assert len(couples(windows, plan(windows, name="time_neighbours", max_gap_s=1e18), 100)) == 2 * 8 * 7 / 2


def test_the_earlier_neighbour_is_the_anchor() -> None:
    windows = table([{"recording_id": "p0_r", "n_windows": 50}])
    made = plan(windows, batch_size=20, name="time_neighbours", max_gap_s=9.0)
    keys = Names(windows).keys(*made.step(0))
    assert all(one[1] < other[1] for one, other in zip(keys[:20], keys[20:], strict=True))


@pytest.mark.parametrize("stride", [100, 200, 300, 70])
def test_moments_whose_windows_overlap_are_no_negatives(stride: int) -> None:
    windows = viewers(4, 30, stride=stride)
    [batch] = plan(windows, batch_size=30, name="movie_moment").step(0)
    rows = Names(windows).rows(batch)
    moment = rows["moment"].to_numpy(np.int64)
    overlap = np.abs(moment[:, None] - moment[None, :]) * stride < 200
    own = np.arange(60)[:, None] % 30 == np.arange(60)[None, :] % 30
    assert (negatives(batch) == (~overlap & ~own)).all()


def test_real_movies_are_paired_at_equal_times_after_their_start(
    release_5: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    recordings, events = release_5
    params = WindowParams.model_validate({"cuts": {"movies": {"name": "hbn_movies", "without_stop": "to_segment_end"}}})
    windows, _ = cut_windows(recordings[recordings["bids_task"].isin(MOVIES)], events, params)
    made, names = plan(windows, batch_size=64, name="movie_moment"), Names(windows)
    shown = events[events["value"] == "video_start"].groupby("recording_id")["onset_s"].agg(list)
    for step in range(made.n_steps_per_epoch):
        rows = names.rows(*made.step(step))
        since = [[s / 100 - o for o in shown[r]] for r, s in zip(rows["recording_id"], rows["start"], strict=True)]
        for k in range(64):
            assert rows["label"][k] == rows["label"][64 + k]
            assert rows["person"][k] != rows["person"][64 + k]
            # Windows begin at whole samples, so each may be off by half of one.
            assert min(abs(a - b) for a in since[k] for b in since[64 + k]) <= 0.01 + 1e-9
    assert pair_counts(made)["n_groups_of_one_person"] < pair_counts(made)["n_groups"] / 10


def test_views_are_each_window_once_and_windows_that_share_samples_are_no_negatives() -> None:
    windows = table({"recording_id": f"p{p}_r", "stride": 70, "n_windows": 20, "start": 9 * p} for p in range(3))
    made, names, seen = plan(windows, batch_size=20, name="views"), Names(windows), []
    assert made.n_steps_per_epoch == 3
    for step in range(3):
        [draw] = made.step(step)
        keys = names.keys(draw)
        assert keys[:20] == keys[20:]
        seen += keys[:20]
        share = [[one == other and abs(a - b) < 200 for other, b in keys] for one, a in keys]
        own = np.arange(40)[:, None] % 20 == np.arange(40)[None, :] % 20
        assert (np.array(share) & ~own).any()
        assert (negatives(draw) == (~np.array(share) & ~own)).all()
    assert len(set(seen)) == len(seen) == 60


def test_a_missing_moment_is_that_of_the_windows_table() -> None:
    assert MISSING == NO_MOMENT
