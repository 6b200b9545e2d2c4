"""The addresses beside the index: the same answers as the index gives, and never those of another index."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import google_crc32c
import numpy as np
import pyarrow as pa
import pytest

import eegfm.store.reader as reader_module
import eegfm.store.writer as writer_module
from eegfm.errors import StoreError
from eegfm.recording import Montage
from eegfm.store.addresses import ADDRESSES_FILE, read_addresses, write_addresses
from eegfm.store.index import INDEX_FILE, RejectedEntry
from eegfm.store.layout import StoreFacts
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter

FACTS = StoreFacts(100.0)
AVERAGE = Montage(("Fp1", "Cz"), ((0.0, 0.1, 0.0), (0.0, 0.0, 0.1)), (True, True), "average")
ONE = Montage(("Cz",), ((0.0, 0.0, 0.1),), (True,), "average")


def commit(writer: StoreWriter, number: int, *, montage: Montage = AVERAGE, n: int = 50, version: int = 0) -> None:
    rng = np.random.default_rng(100 * version + number)
    writer.commit(
        recording_id=f"c:{number}", key=f"v{version}", montage=montage, facts={"age": 4.0}, events=[{"value": "x"}],
        samples=rng.integers(-999, 999, (n + number, montage.n_channels), dtype=np.int16),
        scales_uv=rng.random(montage.n_channels).astype(np.float32),
        bad_channels=[name for name in montage.channel_names if rng.random() < 0.4],
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two montages, several shards, one recording replaced, one removed, one rejected."""
    with StoreWriter(tmp_path / "s", FACTS, shard_bytes=400) as writer:
        for number in range(9):
            commit(writer, number, montage=(AVERAGE, ONE)[number % 3 == 0])
        commit(writer, 4, version=1)
        writer.remove("c:5")
        writer.reject(RejectedEntry("c:x", "k", "x.edf", "read", "no_eeg", "no EEG", "look"))
    return tmp_path / "s"


def answers(folder: Path) -> dict[str, list]:
    """Everything that training asks of a store, in plain lists."""
    store, found = SignalStore(folder), {}
    for name in store.montages:
        ids = [e.recording_id for e in store.entries if e.montage == name]
        rows, scale_rows = store.locate(name, ids[::-1], np.arange(len(ids)), 7)
        lengths = [e.n_samples for e in store.entries if e.montage == name]
        _, whole = store.locate(name, ids, np.zeros(len(ids), dtype=np.int64), np.array(lengths))
        found[name] = [rows.tolist(), scale_rows.tolist(), whole.tolist(), store.scales(name).tolist()]
        found[name] += [
            store.is_bad(name).tolist(),
            store.gather(name, rows, 7).tolist(),
            [part.tolist() for part in store.shards(name)],
        ]
    return found


def opens_fast(folder: Path) -> bool:
    return read_addresses(folder) is not None


@pytest.fixture
def no_index(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def forbid() -> None:
        def refuse(_: Path) -> None:
            raise AssertionError("the index was read")

        monkeypatch.setattr(reader_module, "read_index", refuse)

    return forbid


def test_both_ways_give_the_same_answers(folder: Path) -> None:
    assert opens_fast(folder)
    fast = answers(folder)
    (folder / ADDRESSES_FILE).unlink()
    assert not opens_fast(folder)
    assert answers(folder) == fast
    assert set(fast) == {AVERAGE.name, ONE.name}


def test_training_reads_no_index(folder: Path, no_index: Callable[[], None]) -> None:
    no_index()
    store = SignalStore(folder)
    rows, scale_rows = store.locate(AVERAGE.name, ["c:7", "c:4"], np.array([3, 0]), 10)
    assert store.gather(AVERAGE.name, rows, 10).shape == (2, 10, 2)
    assert store.scales(AVERAGE.name)[scale_rows].shape == (2, 2)
    with pytest.raises(StoreError, match="c:5 is not in montage"):
        store.locate(AVERAGE.name, ["c:5"], np.array([0]), 10)


def test_addresses_of_another_index_are_not_believed(folder: Path) -> None:
    old = (folder / ADDRESSES_FILE).read_bytes()
    with StoreWriter(folder, FACTS) as writer:
        commit(writer, 4, version=2)
    assert opens_fast(folder)
    new = answers(folder)
    (folder / ADDRESSES_FILE).write_bytes(old)
    assert not opens_fast(folder)
    assert answers(folder) == new


def test_another_last_line_of_the_same_length_is_another_index(folder: Path) -> None:
    index = folder / INDEX_FILE
    data = bytearray(index.read_bytes())
    data[-20] ^= 1
    index.write_bytes(data)
    assert not opens_fast(folder)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "text"])
def test_damaged_addresses_are_not_believed(folder: Path, damage: str) -> None:
    fast, path = answers(folder), folder / ADDRESSES_FILE
    data = bytearray(path.read_bytes())
    flipped = bytes([*data[:900], data[900] ^ 1, *data[901:]])
    path.write_bytes({"flip": flipped, "cut": bytes(data[:-9]), "empty": b"", "text": b"no addresses at all"}[damage])
    assert not opens_fast(folder)
    assert answers(folder) == fast


def test_addresses_without_a_column_are_made_anew(folder: Path) -> None:
    """As the version before left them: whole, of the same index, and silent about bad channels."""
    path, expected = folder / ADDRESSES_FILE, answers(folder)
    reader = pa.ipc.open_file(path.read_bytes()[:-4])
    at = reader.schema.get_field_index("is_bad")
    schema = reader.schema.remove(at)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        for k in range(reader.num_record_batches):
            columns = reader.get_batch(k).columns
            writer.write_batch(pa.record_batch(columns[:at] + columns[at + 1 :], schema=schema))
    data = sink.getvalue().to_pybytes()
    path.write_bytes(data + google_crc32c.value(data).to_bytes(4, "little"))
    assert not opens_fast(folder)
    assert answers(folder) == expected
    with StoreWriter(folder, FACTS):
        pass
    assert opens_fast(folder)
    assert answers(folder) == expected


def test_a_kill_between_index_and_addresses(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(writer_module, "write_addresses", killed)
    with pytest.raises(KeyboardInterrupt), StoreWriter(folder, FACTS) as writer:
        commit(writer, 20)
    monkeypatch.undo()
    assert not opens_fast(folder)
    assert 20 in [int(e.recording_id[2:]) for e in SignalStore(folder).entries]
    slow = answers(folder)
    with StoreWriter(folder, FACTS):
        pass
    assert opens_fast(folder)
    assert answers(folder) == slow


def test_an_interrupted_run_and_a_torn_line_are_read_from_the_index(folder: Path) -> None:
    writer = StoreWriter(folder, FACTS).__enter__()
    commit(writer, 21)
    writer.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert not opens_fast(folder)
    before = answers(folder)
    with (folder / INDEX_FILE).open("ab") as file:
        file.write(b'12345678 {"kind":"recor')
    assert not opens_fast(folder)
    assert answers(folder) == before


def test_compaction_and_a_store_that_starts_empty_forget_them_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        assert not (folder / ADDRESSES_FILE).exists()
        raise KeyboardInterrupt

    for number in (1, 2, 4):
        with StoreWriter(folder, FACTS) as writer:
            writer.remove(f"c:{number}")
    assert (folder / ADDRESSES_FILE).exists()
    monkeypatch.setattr("eegfm.store.compaction.write_atomically", killed)
    with StoreWriter(folder, FACTS) as writer, pytest.raises(KeyboardInterrupt):
        writer.compact()
    monkeypatch.undo()
    with StoreWriter(folder, FACTS) as writer:
        writer.compact()
    assert opens_fast(folder)
    answers(folder)
    with StoreWriter(folder, StoreFacts(200.0)):
        assert not (folder / ADDRESSES_FILE).exists()
    assert SignalStore(folder).montages == {}


def test_what_is_there_is_not_written_again(folder: Path) -> None:
    path = folder / ADDRESSES_FILE
    os.utime(path, (1, 1))
    with StoreWriter(folder, FACTS):
        pass
    assert path.stat().st_mtime == 1


def test_a_full_disk_costs_only_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_: Path) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(writer_module, "write_addresses", full)
    with caplog.at_level(logging.WARNING), StoreWriter(folder, FACTS) as writer:
        commit(writer, 30)
    assert "opens slowly" in caplog.text
    assert len(SignalStore(folder).entries) == 9


def test_a_folder_without_an_index_has_none(tmp_path: Path) -> None:
    write_addresses(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert read_addresses(tmp_path) is None
