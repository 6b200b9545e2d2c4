"""Damaged samples are never handed out, whatever way they are read, and cost one look where there are none."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

import eegfm.store.checksums as checksums_module
import eegfm.store.damage as damage_module
import eegfm.store.guard as guard_module
import eegfm.store.layout as layout_module
from eegfm.errors import StoreError
from eegfm.recording import Montage
from eegfm.store.damage import MARK_FILE
from eegfm.store.layout import MONTAGE_FILE, STORE_FILE, StoreFacts, read_facts, read_montage, shard_path
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter

MONTAGE = Montage(("Fp1", "Cz"), ((0.0, 0.1, 0.0), (0.0, 0.0, 0.1)), (True, True), "average")
NAME = MONTAGE.name
FACTS = StoreFacts(100.0, filters={"low_hz": 0.5})


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 64 rows, cells of 16: a store of a few hundred rows has many."""
    for module in (checksums_module, damage_module, guard_module, layout_module):
        monkeypatch.setattr(module, "BLOCK_ROWS", 64)
    monkeypatch.setattr(guard_module, "CELL_SHIFT", 4)
    monkeypatch.setattr("os.fsync", lambda _: None)  # most of the time of a commit


def made(folder: Path, lengths: list[int], shard_bytes: int = 4 << 30) -> dict[str, np.ndarray]:
    """A store, and what its recordings hold."""
    rng = np.random.default_rng(len(lengths))
    samples = {f"c:{k}": rng.integers(-999, 999, (n, 2), dtype=np.int16) for k, n in enumerate(lengths)}
    with StoreWriter(folder, FACTS, shard_bytes=shard_bytes) as writer:
        for recording_id, each in samples.items():
            commit(writer, recording_id, each)
    return samples


def commit(writer: StoreWriter, recording_id: str, samples: np.ndarray) -> None:
    writer.commit(
        recording_id=recording_id, key="k", montage=MONTAGE, samples=samples, facts={}, events=[],
        scales_uv=np.ones(2, dtype=np.float32),
    )  # fmt: skip


def damage(folder: Path, recording_id: str, row: int, n_rows: int = 1) -> None:
    """Turn samples of a recording into others."""
    (entry,) = (e for e in SignalStore(folder).entries if e.recording_id == recording_id)
    path = shard_path(folder, NAME, entry.shard)
    data = bytearray(path.read_bytes())
    first = (entry.first_row + row) * 4
    data[first : first + 4 * n_rows] = bytes(b ^ 1 for b in data[first : first + 4 * n_rows])
    path.write_bytes(data)


def read(store: SignalStore, recording_id: str, start: int, n: int) -> np.ndarray:
    rows, _ = store.locate(NAME, [recording_id], np.array([start]), n)
    return store.gather(NAME, rows, n)[0]


def read_into(store: SignalStore, recording_id: str, start: int, n: int) -> np.ndarray:
    rows, _ = store.locate(NAME, [recording_id], np.array([start]), n)
    return store.gather(NAME, rows, n, np.empty((1, n, 2), dtype=np.int16))[0]


def whole(store: SignalStore, recording_id: str, start: int, n: int) -> np.ndarray:
    return store.recording(recording_id)[start : start + n]


def verified(store: SignalStore, recording_id: str, start: int, n: int) -> np.ndarray:
    _, scale_rows = store.locate(NAME, [recording_id], np.array([start]), n)
    store.verify(NAME, scale_rows)
    return read(store.unverified(), recording_id, start, n)


@pytest.mark.parametrize("reads", [read, read_into, whole, verified])
@pytest.mark.parametrize("no_addresses", [False, True])
def test_damage_is_an_error_that_says_where_and_what_to_do(
    tmp_path: Path, reads: Callable[..., np.ndarray], no_addresses: bool
) -> None:
    samples = made(tmp_path, [300, 400, 500])
    damage(tmp_path, "c:1", 130, n_rows=70)
    if no_addresses:
        (tmp_path / "addresses.arrow").unlink()
    store = SignalStore(tmp_path)
    np.testing.assert_array_equal(reads(store, "c:2", 400, 20), samples["c:2"][400:420])
    for _ in range(2):
        with pytest.raises(StoreError) as caught:
            reads(store, "c:1", 190, 20)
        message = str(caught.value)
        assert message.startswith(f"{tmp_path}: ")
        assert "blocks of 64 samples differ from their checksums, in recording c:1;" in message
        assert "kedro run --pipelines=ingest" in message
    assert (tmp_path / MARK_FILE).exists()
    assert read(store.unverified(), "c:1", 190, 20).shape == (20, 2)


@pytest.mark.parametrize("seed", range(12))
def test_every_window_is_what_was_written_or_an_error(tmp_path: Path, seed: int) -> None:
    """Random recordings, shards, damage and windows, in random order; windows far from damage can be read."""
    rng = np.random.default_rng(seed)
    samples = made(tmp_path, rng.integers(30, 400, 8).tolist(), int(rng.choice([800, 3000, 4 << 30])))
    hit, rows = {}, {}
    for recording_id in rng.choice(list(samples), int(rng.integers(0, 3)), replace=False).tolist():
        hit[recording_id] = int(rng.integers(0, len(samples[recording_id])))
        damage(tmp_path, recording_id, hit[recording_id])
    store = SignalStore(tmp_path)
    rows = {name: int(store.locate(NAME, [name], np.array([0]), 1)[0][0]) for name in samples}
    hit_rows = [rows[name] + row for name, row in hit.items()]
    for _ in range(150):
        n, name = int(rng.choice([1, 5, 20, 100])), str(rng.choice(list(samples)))
        n = min(n, len(samples[name]))
        start = int(rng.integers(0, len(samples[name]) - n + 1))
        first, last = rows[name] + start, rows[name] + start + n - 1
        try:
            found = read(store, name, start, n)
        except StoreError:
            assert any(first - 64 < row < last + 64 for row in hit_rows)
        else:
            np.testing.assert_array_equal(found, samples[name][start : start + n])
            assert not any(first <= row <= last for row in hit_rows)


def test_each_block_is_compared_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = made(tmp_path, [300, 10, 700, 64, 65], 1500)
    compared = []
    real = guard_module.BlockGuard._is_intact
    monkeypatch.setattr(guard_module.BlockGuard, "_is_intact", lambda s, k: compared.append(k) or real(s, k))
    store = SignalStore(tmp_path)
    read(store, "c:2", 0, 10)
    assert 1 <= len(compared) <= 2
    rng = np.random.default_rng(0)
    for _ in range(400):
        name = str(rng.choice(list(samples)))
        read(store, name, int(rng.integers(0, len(samples[name]) - 9)), 10)
    n_blocks = sum(-(-len(each) // 64) for each in samples.values())
    assert sorted(compared) == list(range(n_blocks))
    assert store._groups[NAME].guard._n_pending == 0


def test_two_shards_that_changed_places_are_noticed(tmp_path: Path) -> None:
    made(tmp_path, [300, 300], 1000)
    first, second = (shard_path(tmp_path, NAME, k) for k in (0, 1))
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)
    with pytest.raises(StoreError, match="differ from their checksums"):
        read(SignalStore(tmp_path), "c:0", 0, 10)


def test_recordings_that_are_not_read_are_not_compared(tmp_path: Path) -> None:
    samples = made(tmp_path, [256, 256, 256])
    damage(tmp_path, "c:2", 100)
    store = SignalStore(tmp_path)
    store.verify(NAME, np.array([0, 1]))
    np.testing.assert_array_equal(read(store, "c:0", 0, 256), samples["c:0"])
    with pytest.raises(StoreError, match=r"1 of 12 blocks .* recording c:2;"):
        SignalStore(tmp_path).verify(NAME, np.array([0, 1, 2]))


def test_damage_beside_what_is_read_is_said_once_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    samples = made(tmp_path, [130, 130, 130])
    damage(tmp_path, "c:1", 0)
    store = SignalStore(tmp_path)
    for _ in range(2):
        np.testing.assert_array_equal(read(store, "c:0", 100, 30), samples["c:0"][100:])
    assert ["in recording c:1;" in r.getMessage() for r in caplog.records] == [True]
    assert (tmp_path / MARK_FILE).exists()
    with pytest.raises(StoreError, match="in recording c:1;"):
        read(store, "c:1", 30, 9)


def test_all_damaged_recordings_are_named_at_once(tmp_path: Path) -> None:
    made(tmp_path, [128] * 9)
    for k in range(7):
        damage(tmp_path, f"c:{k}", 100)
    with pytest.raises(StoreError, match=r"7 of 18 blocks .* in recordings c:0, c:1, c:2, c:3, c:4 and 2 more;"):
        SignalStore(tmp_path).verify(NAME, np.arange(9))
    assert (tmp_path / MARK_FILE).read_text().split() == [f"c:{k}" for k in range(7)]


def test_a_mark_that_cannot_be_left_is_left_to_the_user(tmp_path: Path) -> None:
    made(tmp_path, [128])
    damage(tmp_path, "c:0", 3)
    (tmp_path / MARK_FILE).mkdir()
    with pytest.raises(StoreError, match=rf"make the file .*{MARK_FILE}, then run: kedro run --pipelines=ingest"):
        read(SignalStore(tmp_path), "c:0", 0, 10)


def test_threads_get_what_was_written(tmp_path: Path) -> None:
    samples = made(tmp_path, [500] * 8, 4000)
    store, wrong = SignalStore(tmp_path), []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(200):
            name, start = f"c:{rng.integers(8)}", int(rng.integers(0, 480))
            if not np.array_equal(read(store, name, start, 20), samples[name][start : start + 20]):
                wrong.append((name, start))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert store._groups[NAME].guard._n_pending == 0


@pytest.mark.parametrize("fault", ["bytes", "cut", "missing", "montage_folder"])
def test_the_next_writer_drops_what_is_damaged_and_only_that(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cut or missing shard is noticed without a mark, and once."""
    samples = made(tmp_path, [300, 300, 300, 300], 1000)
    last = shard_path(tmp_path, NAME, 3)
    if fault == "bytes":
        damage(tmp_path, "c:3", 250)
        with pytest.raises(StoreError):
            read(SignalStore(tmp_path), "c:3", 249, 3)
    if fault == "cut":
        last.write_bytes(last.read_bytes()[:-8])
        with pytest.raises(StoreError, match=r"c:3 reaches beyond its shard.*kedro run --pipelines=ingest"):
            read(SignalStore(tmp_path), "c:0", 0, 3)
    if fault == "missing":
        last.unlink()
        with pytest.raises(StoreError, match=r"shard is missing.*kedro run --pipelines=ingest"):
            read(SignalStore(tmp_path), "c:0", 0, 3)
    if fault == "montage_folder":
        for path in (tmp_path / NAME).iterdir():
            path.unlink()
    gone = set(samples) if fault == "montage_folder" else {"c:3"}
    with StoreWriter(tmp_path, FACTS, shard_bytes=1000) as writer:
        assert set(writer.keys) == set(samples) - gone
        for name in sorted(gone):
            commit(writer, name, samples[name])
    assert not (tmp_path / MARK_FILE).exists()
    monkeypatch.setattr("eegfm.store.writer.damaged_recordings", lambda _: pytest.fail("the store was read again"))
    with StoreWriter(tmp_path, FACTS, shard_bytes=1000):
        pass
    store = SignalStore(tmp_path)
    for name, each in samples.items():
        np.testing.assert_array_equal(store.recording(name), each)


def test_a_sector_that_cannot_be_read_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, [300, 300], 1000)
    real = np.fromfile

    def broken(file: IO[bytes], **how: Any) -> np.ndarray:
        if file.name == str(shard_path(tmp_path, NAME, 1)):
            raise OSError(5, "Input/output error")
        return real(file, **how)

    monkeypatch.setattr(damage_module.np, "fromfile", broken)
    assert SignalStore(tmp_path).damaged() == ["c:1"]


def test_a_whole_store_is_not_read_without_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, [300, 300])
    monkeypatch.setattr("eegfm.store.writer.damaged_recordings", lambda _: pytest.fail("the store was read"))
    with StoreWriter(tmp_path, FACTS) as writer:
        writer.remove("c:0")
    with StoreWriter(tmp_path, FACTS):
        pass


def test_damage_found_while_bytes_are_given_back_is_mended_by_the_next_writer(tmp_path: Path) -> None:
    samples = made(tmp_path, [300, 300, 300])
    damage(tmp_path, "c:2", 7)
    with StoreWriter(tmp_path, FACTS) as writer:
        writer.remove("c:0")
        with pytest.raises(StoreError, match=r"c:2 is damaged and is not moved.*kedro run --pipelines=ingest"):
            writer.compact()
    with StoreWriter(tmp_path, FACTS) as writer:
        assert set(writer.keys) == {"c:1"}
        commit(writer, "c:2", samples["c:2"])
        writer.compact()
    np.testing.assert_array_equal(SignalStore(tmp_path).recording("c:2"), samples["c:2"])


@pytest.mark.parametrize("name", [STORE_FILE, f"{NAME}/{MONTAGE_FILE}"])
def test_no_changed_byte_of_a_description_is_believed(tmp_path: Path, name: str) -> None:
    made(tmp_path, [100])
    path, rng = tmp_path / name, np.random.default_rng(0)
    data = path.read_bytes()
    want, messages = (read_facts(tmp_path), read_montage(tmp_path, NAME)), []
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(changed)
        try:
            assert (read_facts(tmp_path), read_montage(tmp_path, NAME)) == want
        except StoreError as error:
            messages.append(str(error))
    assert len(messages) > len(data) // 2
    assert all(str(path.parent) in m and "kedro run --pipelines=ingest" in m for m in messages)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(StoreError, match="damaged"):
        _ = read_facts(tmp_path), read_montage(tmp_path, NAME)


def test_descriptions_without_their_checksum_are_not_believed(tmp_path: Path) -> None:
    made(tmp_path, [100])
    for path, read in (
        (tmp_path / STORE_FILE, lambda: read_facts(tmp_path)),
        (tmp_path / NAME / MONTAGE_FILE, lambda: read_montage(tmp_path, NAME)),
    ):
        content = json.loads(path.read_text())
        del content["crc32c"]
        path.write_text(json.dumps(content))
        with pytest.raises(StoreError, match="damaged"):
            read()
