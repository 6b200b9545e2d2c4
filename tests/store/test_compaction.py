"""Dead bytes are given back, and a kill at any step of it changes nothing."""

from pathlib import Path

import numpy as np
import pytest

import eegfm.store.compaction as compaction
from eegfm.errors import StoreError
from eegfm.recording import Montage
from eegfm.store.index import RejectedEntry
from eegfm.store.layout import StoreFacts, shard_path
from eegfm.store.reader import SignalStore
from eegfm.store.shards import Shards
from eegfm.store.writer import StoreWriter

PLACES = ((0.0, 0.1, 0.0), (0.0, 0.0, 0.1))
AVERAGE = Montage(("Fp1", "Cz"), PLACES, (True, True), "average")
EARS = Montage(("Fp1", "Cz"), PLACES, (True, True), "linked_ears")
FACTS = StoreFacts(100.0)


def commit(writer: StoreWriter, number: int, version: int = 0, montage: Montage = AVERAGE) -> None:
    samples = np.random.default_rng(100 * version + number).integers(-999, 999, (1000, 2), dtype=np.int16)
    scales = np.full(2, 0.5 + number, dtype=np.float32)
    writer.commit(
        recording_id=f"c:{number}", key=f"v{version}", montage=montage, samples=samples, scales_uv=scales, facts={},
        events=[],
    )  # fmt: skip


def fresh(folder: Path, versions: dict[int, int]) -> str:
    with StoreWriter(folder, FACTS) as writer:
        for number, version in versions.items():
            commit(writer, number, version)
    return SignalStore(folder).digest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten recordings, a rejection, and then two replaced and two removed: a third of the bytes is dead."""
    with StoreWriter(tmp_path / "s", FACTS, shard_bytes=8000) as writer:
        for number in range(10):
            commit(writer, number)
        writer.reject(RejectedEntry("c:x", "k", "x.edf", "read", "no_eeg", "no EEG", "look"))
        for number in (3, 7):
            commit(writer, number, 1)
        for number in (0, 9):
            writer.remove(f"c:{number}")
    return tmp_path / "s"


LEFT = {1: 0, 2: 0, 3: 1, 4: 0, 5: 0, 6: 0, 7: 1, 8: 0}


def n_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*/shard_*"))


def test_dead_bytes_are_given_back_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    assert n_bytes(folder) == 12 * 4000
    with StoreWriter(folder, FACTS, shard_bytes=8000) as writer:
        keys = writer.keys
        writer.compact()
        assert writer.keys == keys
    store = SignalStore(folder)
    assert n_bytes(folder) == 8 * 4000
    assert store.digest() == fresh(tmp_path / "fresh", LEFT)
    assert store.damaged() == []
    assert [e.path for e in store.rejected] == ["x.edf"]
    assert [e.recording_id for e in store.entries] == ["c:1", "c:2", "c:4", "c:5", "c:6", "c:8", "c:3", "c:7"]


def test_a_compacted_store_grows_and_is_gathered_from(folder: Path, tmp_path: Path) -> None:
    with StoreWriter(folder, FACTS, shard_bytes=8000) as writer:
        writer.compact()
        commit(writer, 11)
    with StoreWriter(folder, FACTS, shard_bytes=8000) as writer:
        commit(writer, 12)
    assert SignalStore(folder).digest() == fresh(tmp_path / "fresh", {**LEFT, 11: 0, 12: 0})
    store = SignalStore(folder)
    rows, scale_rows = store.locate(AVERAGE.name, ["c:12", "c:3"], np.array([10, 990]), 10)
    got = store.gather(AVERAGE.name, rows, 10) * store.scales(AVERAGE.name)[scale_rows][:, None]
    want = np.stack([store.recording("c:12")[10:20], store.recording("c:3")[990:]])
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_a_fifth_of_dead_bytes_is_tolerated(tmp_path: Path) -> None:
    with StoreWriter(tmp_path, FACTS) as writer:
        for number in range(5):
            commit(writer, number)
        writer.remove("c:2")
        before = (tmp_path / "index.jsonl").read_bytes()
        writer.compact()
    assert (tmp_path / "index.jsonl").read_bytes() == before


def test_a_montage_that_lost_all_its_recordings_goes(tmp_path: Path) -> None:
    with StoreWriter(tmp_path, FACTS) as writer:
        commit(writer, 0, montage=EARS)
        commit(writer, 1)
        writer.remove("c:0")
        writer.compact()
    assert list(SignalStore(tmp_path).montages) == [AVERAGE.name]
    assert n_bytes(tmp_path) == 4000


@pytest.mark.parametrize("step", range(10))
def test_a_kill_in_between_leaves_the_store_as_it_was(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Steps 0 to 7 copy recordings, 8 writes the index, 9 deletes the old shards."""
    done = []

    def dies(name: str) -> None:
        owner = compaction if name == "write_atomically" else Shards
        real = getattr(owner, name)

        def perhaps(*args: object) -> object:
            if len(done) == step:
                raise KeyboardInterrupt
            done.append(name)
            return real(*args)

        monkeypatch.setattr(owner, name, perhaps)

    with StoreWriter(folder, FACTS, shard_bytes=8000) as writer:
        for name in ("append", "write_atomically", "delete_unknown"):
            dies(name)
        with pytest.raises(KeyboardInterrupt):
            writer.compact()
    monkeypatch.undo()
    digest = fresh(tmp_path / "fresh", LEFT)
    assert SignalStore(folder).digest() == digest
    with StoreWriter(folder, FACTS, shard_bytes=8000) as writer:
        writer.compact()
    assert SignalStore(folder).digest() == digest
    assert n_bytes(folder) == 8 * 4000


def test_shards_that_no_commit_knows_are_deleted(folder: Path) -> None:
    unknown = [shard_path(folder, AVERAGE.name, 77), shard_path(folder, EARS.name, 0)]
    for path in unknown:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"left behind")
    digest = SignalStore(folder).digest()
    with StoreWriter(folder, FACTS):
        pass
    assert not [path for path in unknown if path.exists()]
    assert SignalStore(folder).digest() == digest


def test_damaged_samples_are_not_copied_as_if_they_were_whole(folder: Path) -> None:
    path = shard_path(folder, AVERAGE.name, 1)
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    with StoreWriter(folder, FACTS) as writer, pytest.raises(StoreError, match="recording c:2 is damaged"):
        writer.compact()


@pytest.mark.parametrize("seed", range(8))
def test_what_is_left_is_what_was_written_for_random_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Recordings of any length in blocks and shards of any size, replaced, removed and moved several times."""
    rng = np.random.default_rng(seed)
    for name in ("checksums", "damage", "guard", "layout"):
        monkeypatch.setattr(f"eegfm.store.{name}.BLOCK_ROWS", 50)
    monkeypatch.setattr("os.fsync", lambda _: None)
    monkeypatch.setattr(compaction, "MAX_DEAD_RATIO", 0.05)
    wanted: dict[str, np.ndarray] = {}
    for _ in range(4):
        with StoreWriter(tmp_path, FACTS, shard_bytes=int(rng.integers(300, 9000))) as writer:
            for number in rng.integers(0, 12, 8).tolist():
                if rng.random() < 0.3 and f"c:{number}" in wanted:
                    writer.remove(f"c:{number}")
                    del wanted[f"c:{number}"]
                    continue
                samples = rng.integers(-32768, 32767, (int(rng.integers(1, 400)), 2), dtype=np.int16)
                writer.commit(
                    recording_id=f"c:{number}", key="k", montage=AVERAGE, samples=samples, facts={}, events=[],
                    scales_uv=np.ones(2, dtype=np.float32),
                )  # fmt: skip
                wanted[f"c:{number}"] = samples
            writer.compact()
        store = SignalStore(tmp_path)
        assert store.damaged() == []
        assert {e.recording_id: store.recording(e.recording_id).astype(int).tolist() for e in store.entries} == {
            name: samples.tolist() for name, samples in wanted.items()
        }
        whole = np.array([len(wanted[e.recording_id]) for e in store.entries])
        _, scale_rows = store.locate(AVERAGE.name, [e.recording_id for e in store.entries], whole * 0, whole)
        assert SignalStore(tmp_path).verify(AVERAGE.name, scale_rows) == 4 * whole.sum()
