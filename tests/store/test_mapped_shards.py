"""Many shards in one range of addresses: what is copied is what lies in the files, and nothing beside it."""

import gc
import mmap
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eegfm.errors import StoreError
from eegfm.store.mapped_shards import MappedShards


@pytest.fixture(params=[(3, (700, 41, 5000)), (8, (256, 256, 512)), (129, (100,))])
def shards(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[MappedShards, list[np.ndarray]]:
    """Also lengths that fill whole pages."""
    n_channels, lengths = request.param
    rng = np.random.default_rng(0)
    samples = [rng.integers(-32768, 32768, (n, n_channels), dtype=np.int16) for n in lengths]
    paths = [tmp_path / f"shard_{k:04d}.i16" for k in range(len(samples))]
    for path, data in zip(paths, samples, strict=True):
        path.write_bytes(data.tobytes())
    return MappedShards(paths, n_channels), samples


@pytest.mark.parametrize("n_samples", [1, 7, 40])
def test_windows_are_copied_in_the_order_asked_for(
    shards: tuple[MappedShards, list[np.ndarray]], n_samples: int
) -> None:
    shards, samples = shards
    rng = np.random.default_rng(1)
    places = rng.integers(0, len(samples), 100)
    starts = np.array([rng.integers(0, len(samples[k]) - n_samples + 1) for k in places])
    starts[:2] = 0, len(samples[places[1]]) - n_samples
    want = np.stack([samples[k][s : s + n_samples] for k, s in zip(places, starts, strict=True)])
    rows = shards.first_rows[places] + starts
    np.testing.assert_array_equal(shards.gather(rows, n_samples), want)
    out = np.full((100, n_samples, shards.n_channels), 77, dtype=np.int16)
    assert shards.gather(rows[::-1], n_samples, out) is out
    np.testing.assert_array_equal(out, want[::-1])
    assert shards.places(rows, n_samples).tolist() == places.tolist()


def test_no_batch_is_a_batch(shards: tuple[MappedShards, list[np.ndarray]]) -> None:
    shards, _ = shards
    assert shards.gather(np.empty(0, dtype=np.int64), 5).shape == (0, 5, shards.n_channels)


def test_rows_that_belong_to_no_shard_are_refused(shards: tuple[MappedShards, list[np.ndarray]]) -> None:
    shards, samples = shards
    for first, data in zip(shards.first_rows, samples, strict=True):
        shards.gather(np.array([first, first + len(data) - 5]), 5)
        for row in (first - 1, first + len(data) - 4, first + len(data)):
            with pytest.raises(StoreError, match="reach beyond"):
                shards.gather(np.array([first, row]), 5)
    gaps = shards.first_rows[1:] - (shards.first_rows + shards.n_rows)[:-1]
    assert (gaps > 0).all(), "stretches that touch lie in one shard"


def test_shards_begin_at_pages_and_at_rows(shards: tuple[MappedShards, list[np.ndarray]]) -> None:
    shards, _ = shards
    assert (shards.first_rows * shards.row_bytes % mmap.PAGESIZE == 0).all()


def test_mapped_rows_cannot_be_written_to_and_outlive_their_arena(
    shards: tuple[MappedShards, list[np.ndarray]],
) -> None:
    shards, samples = shards
    rows = shards.rows(int(shards.first_rows[-1]), len(samples[-1]))
    with pytest.raises(ValueError, match="read-only"):
        rows[0] = 0
    del shards
    gc.collect()
    np.testing.assert_array_equal(rows, samples[-1])


def test_a_buffer_of_another_kind_is_our_mistake(shards: tuple[MappedShards, list[np.ndarray]]) -> None:
    shards, _ = shards
    rows, shape = shards.first_rows[:1], (1, 4, shards.n_channels)
    for out in (np.empty(shape), np.empty((2, *shape[1:]), np.int16), np.empty((*shape[:2], 999), np.int16)[..., :3]):
        with pytest.raises(AssertionError):
            shards.gather(rows, 4, out)


def test_torch_stays_out_where_there_is_no_buffer_to_fill(tmp_path: Path) -> None:
    path = tmp_path / "shard_0000.i16"
    path.write_bytes(bytes(600))
    code = (
        "import sys, pathlib, numpy as np, eegfm.store.reader, eegfm.store.writer\n"
        "from eegfm.store.mapped_shards import MappedShards\n"
        "assert not MappedShards([pathlib.Path(sys.argv[1])], 3).gather(np.array([0, 7]), 9).any()\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 0
