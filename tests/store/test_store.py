"""The signal store: what is committed is there, whole, and nothing else is."""

import errno
import json
import os
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from eegfm.errors import StoreError
from eegfm.recording import Montage
from eegfm.store.index import INDEX_FILE, RejectedEntry
from eegfm.store.layout import STORE_FILE, StoreFacts, shard_path
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter

MONTAGE = Montage(("Fp1", "Cz", "Oz"), ((0.0, 0.1, 0.0), (0.0, 0.0, 0.1), (0.0, -0.1, 0.0)), (True,) * 3, "average")
FACTS = StoreFacts(100.0)


def samples_of(number: int, n: int = 500) -> np.ndarray:
    return np.random.default_rng(number).integers(-32767, 32768, size=(n, 3), dtype=np.int16)


def commit(writer: StoreWriter, number: int, *, n: int = 500, key: str = "k") -> None:
    writer.commit(
        recording_id=f"c:{number}",
        key=key,
        montage=MONTAGE,
        samples=samples_of(number, n),
        scales_uv=np.array([0.1, 0.2, 0.3], dtype=np.float32) * (number + 1),
        facts={"recording_id": f"c:{number}"},
        events=[],
    )


@pytest.fixture
def store(tmp_path: Path) -> SignalStore:
    with StoreWriter(tmp_path / "s", FACTS) as writer:
        for number in range(4):
            commit(writer, number, n=300 + 100 * number)
    return SignalStore(tmp_path / "s")


def test_gather_equals_slicing(store: SignalStore) -> None:
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 4, size=50)
    starts = np.array([rng.integers(0, 300 + 100 * k - 80 + 1) for k in numbers])
    rows, scale_rows = store.locate(MONTAGE.name, [f"c:{k}" for k in numbers], starts, 80)
    got = store.gather(MONTAGE.name, rows, 80)
    want = np.stack([samples_of(k, 300 + 100 * k)[s : s + 80] for k, s in zip(numbers, starts, strict=True)])
    np.testing.assert_array_equal(got, want)
    np.testing.assert_allclose(
        store.scales(MONTAGE.name)[scale_rows], np.outer(numbers + 1, np.float32([0.1, 0.2, 0.3])), rtol=1e-6
    )


def test_gather_across_shards_equals_one_shard(tmp_path: Path, store: SignalStore) -> None:
    with StoreWriter(tmp_path / "sharded", FACTS, shard_bytes=2000) as writer:
        for number in range(4):
            commit(writer, number, n=300 + 100 * number)
    sharded = SignalStore(tmp_path / "sharded")
    assert len(list((tmp_path / "sharded" / MONTAGE.name).glob("shard_*"))) > 1
    ids, starts = ["c:3", "c:0", "c:2", "c:1"], np.array([10, 0, 99, 5])
    for each in (sharded, store):
        rows, _ = each.locate(MONTAGE.name, ids, starts, 50)
        np.testing.assert_array_equal(each.gather(MONTAGE.name, rows, 50)[2], samples_of(2)[99:149])
    assert sharded.digest() == store.digest()


def test_recording_is_microvolts(store: SignalStore) -> None:
    want = samples_of(1, 400).astype(np.float64) * np.array([0.2, 0.4, 0.6])
    np.testing.assert_allclose(store.recording("c:1"), want, rtol=1e-5)


def test_handle_travels_as_its_path(store: SignalStore) -> None:
    _ = store.entries
    copy = pickle.loads(pickle.dumps(store))  # noqa: S301  our own bytes
    assert len(pickle.dumps(store)) < 1000
    assert copy.digest() == store.digest()


def test_replaced_recording_shows_only_the_new_one(tmp_path: Path) -> None:
    with StoreWriter(tmp_path, FACTS) as writer:
        commit(writer, 0)
        commit(writer, 1)
    with StoreWriter(tmp_path, FACTS) as writer:
        writer.commit(
            recording_id="c:0", key="new", montage=MONTAGE, samples=samples_of(9, 77),
            scales_uv=np.ones(3, dtype=np.float32), facts={}, events=[],
        )  # fmt: skip
        assert writer.keys == {"c:0": "new", "c:1": "k"}
    store = SignalStore(tmp_path)
    assert {e.recording_id for e in store.entries} == {"c:0", "c:1"}
    np.testing.assert_array_equal(store.recording("c:0"), samples_of(9, 77))
    np.testing.assert_allclose(store.recording("c:1"), samples_of(1) * np.float32([0.2, 0.4, 0.6]), rtol=1e-6)


def test_removed_and_rejected(tmp_path: Path) -> None:
    with StoreWriter(tmp_path, FACTS) as writer:
        commit(writer, 0)
        writer.reject(RejectedEntry("c:1", "k", "b.edf", "read", "no_eeg", "no EEG", "look"))
        writer.remove("c:0")
    store = SignalStore(tmp_path)
    assert not store.entries
    assert [e.path for e in store.rejected] == ["b.edf"]


@pytest.mark.parametrize("n_kept", [0, 1, 5, -2])
def test_torn_commit_is_invisible_and_overwritten(tmp_path: Path, n_kept: int) -> None:
    """A kill between the samples and the end of the index line leaves the store as it was before the commit."""
    with StoreWriter(tmp_path, FACTS) as writer:
        commit(writer, 0)
    clean = SignalStore(tmp_path).digest()
    before = (tmp_path / INDEX_FILE).read_bytes()
    with StoreWriter(tmp_path, FACTS) as writer:
        commit(writer, 1)
    line = (tmp_path / INDEX_FILE).read_bytes()[len(before) :]
    (tmp_path / INDEX_FILE).write_bytes(before + line[:n_kept])
    assert SignalStore(tmp_path).digest() == clean
    with StoreWriter(tmp_path, FACTS) as writer:
        assert set(writer.keys) == {"c:0"}
        commit(writer, 1)
    again = SignalStore(tmp_path)
    np.testing.assert_allclose(again.recording("c:1"), samples_of(1) * np.float32([0.2, 0.4, 0.6]), rtol=1e-6)
    assert not again.damaged()
    assert shard_path(tmp_path, MONTAGE.name, 0).stat().st_size == 2 * 500 * 3 * 2


def test_damaged_line_before_the_last_is_an_error(tmp_path: Path, store: SignalStore) -> None:
    path = store.folder / INDEX_FILE
    data = bytearray(path.read_bytes())
    data[30] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreError, match="line 1 is damaged"):
        _ = SignalStore(store.folder).entries


def test_flipped_bit_is_found(store: SignalStore) -> None:
    assert store.damaged() == []
    path = shard_path(store.folder, MONTAGE.name, 0)
    data = bytearray(path.read_bytes())
    data[(300 + 17) * 3 * 2] ^= 4  # inside the second recording
    path.write_bytes(data)
    assert SignalStore(store.folder).damaged() == ["c:1"]


def test_cut_shard_is_an_error_not_zeros(store: SignalStore) -> None:
    path = shard_path(store.folder, MONTAGE.name, 0)
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(StoreError, match="c:3 reaches beyond its shard"):
        SignalStore(store.folder).digest()


def test_windows_beyond_the_shard_are_refused(store: SignalStore) -> None:
    with pytest.raises(StoreError, match="reach beyond"):
        store.gather(MONTAGE.name, np.array([2590]), 80)


@pytest.mark.parametrize("start", [-1, 221, 10_000])
def test_windows_of_another_version_of_a_recording_are_refused(store: SignalStore, start: int) -> None:
    store.locate(MONTAGE.name, ["c:0"], np.array([220]), 80)
    with pytest.raises(StoreError, match="leaves recording c:0"):
        store.locate(MONTAGE.name, ["c:1", "c:0"], np.array([0, start]), 80)


def test_second_writer_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    with StoreWriter(tmp_path, FACTS), pytest.raises(StoreError, match=r"process \d+ on .* is writing"):
        StoreWriter(tmp_path, FACTS).__enter__()
    with StoreWriter(tmp_path, FACTS) as writer:
        commit(writer, 0)


@pytest.mark.parametrize("n_synced", [0, 1])
def test_a_full_disk_is_said_in_words_and_costs_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_synced: int
) -> None:
    """Samples are synced first, then the index line."""
    with StoreWriter(tmp_path, FACTS) as writer:
        commit(writer, 0)
        n_left, fsync = [n_synced], os.fsync

        def full(file: int) -> None:
            n_left[0] -= 1
            if n_left[0] < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            fsync(file)

        with monkeypatch.context() as patch:
            patch.setattr("eegfm.store.writer.os.fsync", full)
            with pytest.raises(StoreError, match=r"No space left on device.*needs permission and space"):
                commit(writer, 1)
    with StoreWriter(tmp_path, FACTS) as writer:
        commit(writer, 2)
    store = SignalStore(tmp_path)
    assert {"c:0", "c:2"} <= {e.recording_id for e in store.entries}
    assert store.damaged() == []


def test_a_disk_without_room_for_a_second_copy_leaves_dead_bytes_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eegfm.store.writer.shutil.disk_usage", lambda folder: SimpleNamespace(free=100))
    with StoreWriter(tmp_path, FACTS) as writer:
        for number in range(2):
            commit(writer, number)
        writer.remove("c:0")
        writer.compact()
    assert [path.stat().st_size for path in tmp_path.glob("*/shard_*")] == [2 * 500 * 3 * 2]
    assert [e.recording_id for e in SignalStore(tmp_path).entries] == ["c:1"]


def test_a_folder_that_cannot_be_made_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"a file")
    with pytest.raises(StoreError, match="cannot be written"):
        StoreWriter(tmp_path / "s", FACTS).__enter__()


@pytest.mark.parametrize(
    "facts", [StoreFacts(200.0), StoreFacts(100.0, filters={"low_hz": 1.0}), StoreFacts(100.0, made_by="other code")]
)
def test_other_facts_empty_the_store(tmp_path: Path, facts: StoreFacts) -> None:
    with StoreWriter(tmp_path, FACTS) as writer:
        commit(writer, 0)
    with StoreWriter(tmp_path, facts) as writer:
        assert not writer.keys
    assert not list(tmp_path.glob("*/shard_*"))
    assert SignalStore(tmp_path).rate_hz == facts.rate_hz
    assert SignalStore(tmp_path).filters == facts.filters


def test_unknown_names_are_errors(tmp_path: Path, store: SignalStore) -> None:
    with pytest.raises(StoreError, match="is not in montage"):
        store.locate(MONTAGE.name, ["c:77"], np.array([0]), 10)
    with pytest.raises(StoreError, match="no montage"):
        store.scales("9ch-unknown")
    with pytest.raises(StoreError, match="holds no signal store"):
        _ = SignalStore(tmp_path / "nowhere").entries


def test_a_store_that_starts_empty_forgets_where_electrodes_were(tmp_path: Path) -> None:
    with StoreWriter(tmp_path, FACTS) as writer:
        commit(writer, 0)
    moved = Montage(MONTAGE.channel_names, ((0.0, 0.2, 0.0),) * 3, MONTAGE.is_scalp, MONTAGE.reference)
    new = {"samples": samples_of(0), "scales_uv": np.ones(3, dtype=np.float32), "facts": {}, "events": []}
    with StoreWriter(tmp_path, FACTS) as writer, pytest.raises(StoreError, match="describes other electrodes"):
        writer.commit(recording_id="c:1", key="k", montage=moved, **new)
    with StoreWriter(tmp_path, StoreFacts(100.0, made_by="other code")) as writer:
        writer.commit(recording_id="c:1", key="k", montage=moved, **new)
    assert SignalStore(tmp_path).montages == {MONTAGE.name: moved}


def test_bad_channels_are_kept_with_their_recording(tmp_path: Path) -> None:
    bad = {"c:0": ["Oz"], "c:1": [], "c:2": ["Oz", "Fp1"]}
    with StoreWriter(tmp_path / "s", FACTS) as writer:
        for name, channels in bad.items():
            writer.commit(
                recording_id=name, key="k", montage=MONTAGE, samples=samples_of(0), facts={}, events=[],
                scales_uv=np.ones(3, dtype=np.float32), bad_channels=channels,
            )  # fmt: skip
    store = SignalStore(tmp_path / "s")
    _, rows = store.locate(MONTAGE.name, list(bad), np.zeros(3, dtype=np.int64), 10)
    expected = [[False, False, True], [False] * 3, [True, False, True]]
    assert store.is_bad(MONTAGE.name)[rows].tolist() == expected
    with StoreWriter(tmp_path / "other", FACTS) as writer:
        for name in bad:
            writer.commit(
                recording_id=name, key="k", montage=MONTAGE, samples=samples_of(0), facts={}, events=[],
                scales_uv=np.ones(3, dtype=np.float32),
            )  # fmt: skip
    assert not SignalStore(tmp_path / "other").is_bad(MONTAGE.name).any()
    assert SignalStore(tmp_path / "other").digest() != store.digest()


def test_a_store_of_an_earlier_format_is_refused_and_made_anew(store: SignalStore) -> None:
    """It does not say which channels are bad."""
    path = store.folder / STORE_FILE
    facts = json.loads(path.read_text()) | {"format_version": 1}
    facts.pop("crc32c")
    path.write_text(json.dumps(facts))
    with pytest.raises(StoreError, match=r"store format 1, this version reads 2; make it again with: kedro run"):
        SignalStore(store.folder).montages  # noqa: B018  reading it is what is refused
    with StoreWriter(store.folder, FACTS) as writer:
        assert writer.keys == {}
        commit(writer, 7)
    assert [entry.recording_id for entry in SignalStore(store.folder).entries] == ["c:7"]
