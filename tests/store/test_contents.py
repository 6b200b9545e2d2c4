"""Stores with equal contents have equal hashes, whatever their past; no sample need be read."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from eegfm.errors import StoreError
from eegfm.recording import Montage
from eegfm.store.contents import CONTENTS_FILE
from eegfm.store.layout import StoreFacts
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter

MONTAGE = Montage(("Fz", "Cz"), ((0.0, 0.05, 0.08), (0.0, 0.0, 0.1)), (True, True), "average")
FACTS = StoreFacts(rate_hz=100.0, filters={"low_hz": 0.5, "high_hz": 45.0, "notch_hz": None})


def samples(seed: int, n_samples: int = 500) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-1000, 1000, (n_samples, 2)).astype(np.int16)


def write(
    folder: Path, *recordings: tuple[str, int], facts: StoreFacts = FACTS, key: str = "", **changes: float
) -> str:
    with StoreWriter(folder, facts) as writer:
        for name, seed in recordings:
            writer.commit(
                recording_id=name, key=key, montage=MONTAGE, samples=samples(seed),
                scales_uv=np.full(2, changes.get("scale_uv", 0.5), dtype=np.float32), facts={"flags": []}, events=[],
            )  # fmt: skip
    return SignalStore(folder).identity


def test_the_past_of_a_store_leaves_no_trace(tmp_path: Path) -> None:
    straight = write(tmp_path / "a", ("x", 1), ("y", 2))
    assert write(tmp_path / "b", ("y", 2), ("x", 1), key="other file") == straight
    write(tmp_path / "c", *((f"z{k}", k) for k in range(9)))
    with StoreWriter(tmp_path / "c", FACTS) as writer:
        for k in range(9):
            writer.remove(f"z{k}")
    write(tmp_path / "c", ("x", 3), ("y", 2))
    assert write(tmp_path / "c", ("x", 1)) == straight
    with StoreWriter(tmp_path / "c", FACTS) as writer:
        writer.compact()
    assert SignalStore(tmp_path / "c").identity == straight
    assert (
        write(tmp_path / "d", ("x", 1), ("y", 2), facts=StoreFacts(100.0, filters=FACTS.filters, made_by="new"))
        == straight
    )


def test_all_that_a_reader_gets_counts(tmp_path: Path) -> None:
    first = write(tmp_path / "a", ("x", 1), ("y", 2))
    others = [
        write(tmp_path / "b", ("x", 1)),
        write(tmp_path / "c", ("x", 1), ("y", 3)),
        write(tmp_path / "d", ("x", 1), ("z", 2)),
        write(tmp_path / "e", ("x", 1), ("y", 2), scale_uv=0.25),
        write(tmp_path / "f", ("x", 1), ("y", 2), facts=StoreFacts(rate_hz=100.0, filters={"low_hz": 1.0})),
        write(tmp_path / "g", ("x", 1), ("y", 2), facts=StoreFacts(100.0, True, FACTS.filters)),
    ]
    assert len({first, *others}) == 7


def test_some_recordings_rest_on_no_others(tmp_path: Path) -> None:
    write(tmp_path / "a", ("x", 1), ("y", 2))
    write(tmp_path / "b", ("y", 3), ("x", 1))
    a, b = SignalStore(tmp_path / "a"), SignalStore(tmp_path / "b")
    assert a.signals_sha256(["x"]) == b.signals_sha256(["x", "x"])
    assert a.signals_sha256(["y", "x"]) == a.signals_sha256(["x", "y"]) != b.signals_sha256(["x", "y"])
    with pytest.raises(StoreError, match="recording nobody is not in the store"):
        a.signals_sha256(["x", "nobody"])


@pytest.mark.parametrize("damage", ["missing", "cut", "changed", "old"])
def test_a_file_of_hashes_that_is_not_the_index_s_own_is_not_believed(tmp_path: Path, damage: str) -> None:
    write(tmp_path / "a", ("x", 1))
    path = tmp_path / "a" / CONTENTS_FILE
    old = path.read_bytes()
    right = write(tmp_path / "a", ("y", 2))
    match damage:
        case "missing":
            path.unlink()
        case "cut":
            path.write_bytes(path.read_bytes()[:-5])
        case "changed":
            path.write_bytes(path.read_bytes().replace(b" y", b" z"))
        case "old":
            path.write_bytes(old)
    assert SignalStore(tmp_path / "a").identity == right
