"""Spreads of windows, against numpy on what the store reads by recording."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eegfm.errors import ConfigError
from eegfm.recording import Montage
from eegfm.store.layout import StoreFacts
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter
from eegfm.training.loading.groups import window_groups
from eegfm.training.pairings import WithinRecordingPairs
from eegfm.training.plans.pairs import spread, within_recording
from eegfm.training.plans.pairs.pair_plan import PairPlan, pair_sources, total_counts
from eegfm.training.plans.pairs.source import Batching
from eegfm.training.plans.pairs.spread import spreads, too_wide
from eegfm.training.plans.pairs.stratum import Stratum, strata
from pair_tables import table

MONTAGE = Montage(("A", "B", "C"), ((0.0, 0, 0.1), (0, 0.05, 0.05), (0.05, 0, 0.05)), (True,) * 3, "average")
N_RECORDINGS, LENGTH = 6, 8000


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Recordings with offsets and loud stretches, and a loud bad channel in some."""
    folder: Path = tmp_path_factory.mktemp("store")
    rng = np.random.default_rng(0)
    with StoreWriter(folder, StoreFacts(100.0)) as writer:
        for k in rng.permutation(N_RECORDINGS):
            samples = rng.normal(40, 300, (LENGTH, 3))
            samples[2000:2300, 1] *= 8
            samples[:, 2] *= 25 if k % 2 else 1
            facts: dict[str, Any] = {"bad_channels": ["C"]} if k % 2 else {}
            writer.commit(
                recording_id=f"p{k}_r", key="", montage=MONTAGE, facts={}, events=[],
                samples=samples.clip(-32767, 32767).astype(np.int16), scales_uv=np.float32([0.1, 0.2, 0.3]), **facts,
            )  # fmt: skip
    return {"hbn": SignalStore(folder)}


def windows() -> pd.DataFrame:
    rows = [
        {"recording_id": f"p{k}_r", "montage": MONTAGE.name, "stride": 100, "n_windows": 75 - k, "start": 13 * k}
        for k in range(N_RECORDINGS)
    ]
    return table(rows).assign(split="train").sample(frac=1, random_state=0, ignore_index=True)


def stratum_of(stores: dict[str, Any]) -> Stratum:
    [stratum] = strata(windows(), window_groups(windows(), stores, "train"), stores)
    return stratum


def by_hand(stores: dict[str, Any], stratum: Stratum) -> list[float]:
    found = []
    for recording, start in zip(stratum.recording.tolist(), stratum.start.tolist(), strict=True):
        sds = stores["hbn"].stretch(f"p{recording}_r", start, start + 200).astype(np.float64).std(axis=0)
        found.append(float(sds[: 2 if recording % 2 else 3].max()))
    return found


@pytest.mark.parametrize("batch_bytes", [1, 5000, 1 << 20])
def test_spreads_are_those_of_good_channels(
    stores: dict[str, Any], batch_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spread, "_BATCH_BYTES", batch_bytes)
    stratum = stratum_of(stores)
    expected = by_hand(stores, stratum)
    assert spreads(stratum, stores["hbn"]) == pytest.approx(expected, rel=1e-5)
    assert (spreads(stratum, stores["hbn"]) == spreads(stratum.only(np.ones(len(stratum), bool)), stores["hbn"])).all()


def test_loud_windows_are_left_out_and_said(stores: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    stratum = stratum_of(stores)
    values, recording = np.array(by_hand(stores, stratum)), stratum.recording
    expected = [v > 4 * np.median(values[recording == r]) for v, r in zip(values, recording, strict=True)]
    assert 0 < sum(expected) < 40
    with caplog.at_level(logging.INFO, "eegfm"):
        assert too_wide(stratum, stores["hbn"], 4.0).tolist() == expected
    assert f"{sum(expected)} of {len(values)} windows have more than 4 times the spread" in caplog.text


def test_a_plan_never_draws_them(stores: dict[str, Any]) -> None:
    groups = window_groups(windows(), stores, "train")
    drawn = {}
    for max_spread in (4.0, None):
        pairing = WithinRecordingPairs(moments=4, max_spread=max_spread)
        sources = pair_sources("hbn", windows(), groups, stores, pairing, Batching(8, 0))
        made, counts = PairPlan({"hbn": [sources]}, 0), total_counts([source.usable() for source in sources])
        positions = {p for step in range(20 * made.n_steps_per_epoch) for p in made.step(step)[0].positions.tolist()}
        drawn[max_spread] = positions
        assert ("n_windows_of_large_spread" in counts) == (max_spread is not None)
    stratum = stratum_of(stores)
    loud = set(stratum.position[too_wide(stratum, stores["hbn"], 4.0)].tolist())
    assert loud & drawn[None]
    assert not loud & drawn[4.0]
    assert drawn[4.0] | loud == drawn[None] | loud


def test_samples_are_read_once_when_the_first_batch_is_drawn(
    stores: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whichever thread, and from whichever step on: the batches are the same."""
    read: list[int] = []

    def counted(stratum: Stratum, *more: Any) -> Any:
        read.append(len(stratum))
        return too_wide(stratum, *more)

    monkeypatch.setattr(within_recording, "too_wide", counted)

    def plan() -> PairPlan:
        groups = window_groups(windows(), stores, "train")
        pairing = WithinRecordingPairs(moments=4)
        return PairPlan({"hbn": [pair_sources("hbn", windows(), groups, stores, pairing, Batching(8, 0))]}, 0)

    one, other = plan(), plan()
    assert one.n_steps_per_epoch == other.n_steps_per_epoch > 1
    assert not read
    with ThreadPoolExecutor(4) as threads:
        steps = list(threads.map(one.step, range(12)))
    assert read == [sum(75 - k for k in range(N_RECORDINGS))]
    for step in reversed(range(12)):
        assert (other.step(step)[0].positions == steps[step][0].positions).all()


def test_too_few_windows_left_are_one_line(stores: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    groups = window_groups(windows(), stores, "train")
    [source] = pair_sources("hbn", windows(), groups, stores, WithinRecordingPairs(moments=4), Batching(8, 0))
    monkeypatch.setattr(within_recording, "too_wide", lambda stratum, *_: np.arange(len(stratum)) % 40 > 0)
    with pytest.raises(
        ConfigError, match=r"takes 8 pairs of 4 .* too few left .*n_windows_of_large_spread 4.*lower it"
    ):
        source.draw(0, 0)
