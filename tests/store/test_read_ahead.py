"""Requests to the system: every page of every stretch, once, and nothing where all pages are there already."""

import gc
import os
from pathlib import Path

import numpy as np
import pytest

import eegfm.store.read_ahead as module
from eegfm.errors import StoreError
from eegfm.store.mapped_shards import MappedShards
from eegfm.store.read_ahead import N_BLIND, PIECE_BYTES, ReadAhead, pieces

pytestmark = pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="this system cannot be asked")


def test_pieces_hold_the_same_bytes_sorted_and_united() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 50, 400):
        places = rng.integers(0, 3, n)
        starts, lengths = rng.integers(0, 3_000_000, n), rng.integers(1, 400_000, n)
        want = np.zeros((3, 3_400_000), dtype=bool)
        for place, start, length in zip(places, starts, lengths, strict=True):
            want[place, start : start + length] = True
        got = np.zeros(want.shape, dtype=np.int8)
        found = np.stack(pieces(places, starts, lengths), axis=1)
        for place, start, length in found:
            assert 0 < length <= PIECE_BYTES
            got[place, start : start + length] += 1
        np.testing.assert_array_equal(got, want)  # each byte once
        assert sorted(map(tuple, found.tolist())) == list(map(tuple, found.tolist()))


def test_touching_stretches_are_one_request() -> None:
    zeros, lengths = np.zeros(3, dtype=np.int64), np.array([100, 100, 50])
    found = pieces(zeros, np.array([300, 200, 100]), lengths)
    assert [c.tolist() for c in found] == [[0, 0], [100, 200], [50, 200]]
    found = pieces(np.array([0, 1, 0]), np.array([300, 0, 200]), lengths)
    assert [c.tolist() for c in found] == [[0, 0, 1], [200, 300, 0], [50, 100, 100]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(
        module.os, "posix_fadvise", lambda file, start, length, advice: found.append((start, length)), raising=False
    )
    return found


@pytest.fixture
def ahead(tmp_path: Path) -> ReadAhead:
    path = tmp_path / "shard_0000.i16"
    path.write_bytes(bytes(6 * 100_000))
    return ReadAhead(MappedShards([path], 3))


def test_nothing_is_asked_for_what_is_there(ahead: ReadAhead, asked: list[tuple[int, int]]) -> None:
    assert not ahead.ask(np.arange(0, 90_000, 1000), 100)
    assert asked == []


@pytest.mark.parametrize("error", [BlockingIOError, OSError])
def test_one_stretch_that_is_not_there_asks_for_all(
    ahead: ReadAhead, asked: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch, error: type[OSError]
) -> None:
    """Also on a file system that cannot say what is in memory."""

    def absent(*_: object) -> int:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "preadv", absent)
        assert ahead.ask(np.array([500, 0, 1000]), np.array([100, 100, 300]))
    assert asked == [(0, 600), (3000, 600), (6000, 1800)]
    asked.clear()
    for _ in range(N_BLIND):
        assert ahead.ask(np.array([7]), 1)
    assert not ahead.ask(np.array([7]), 1)
    assert asked == [(42, 6)] * N_BLIND


def test_stretches_outside_are_refused_where_they_are_asked_for(
    ahead: ReadAhead, asked: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(module.os, "RWF_NOWAIT", raising=False)
    with pytest.raises(StoreError, match="reach beyond"):
        ahead.ask(np.array([0, 99_990]), np.array([10, 11]))
    assert asked == []


def test_files_are_closed_with_their_owner(tmp_path: Path) -> None:
    path = tmp_path / "shard_0000.i16"
    path.write_bytes(bytes(600))
    ahead = ReadAhead(MappedShards([path], 3))
    (file,) = ahead._files
    os.fstat(file)
    del ahead
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)
