"""The blocks into which the filter cuts a recording decide nothing that is stored beside the samples."""

from collections.abc import Sequence

import numpy as np
import pytest

from eegfm.jobs.ingest.stream import FilteredStream
from eegfm.signal.config import SignalParams
from eegfm.signal.header import RecordingHeader, Segment

RATE_HZ = 250.0
NAMES = ("Fp1", "Cz")


class Recording:
    """Noise that grows and fades, in two segments, one channel dead for a while; artefacts leave the scale to votes."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        n, cut = int(rng.integers(15_000, 25_000)), int(rng.integers(6000, 9000))
        strength_uv = 20 + 19 * np.sin(np.arange(n) * 2 * np.pi / 9000)
        self.signal_uv = (strength_uv * rng.normal(size=(2, n))).astype(np.float32)
        self.signal_uv[1, 2000:4000] = 0
        self.signal_uv[:, 1000:1200] *= 100
        self.header = RecordingHeader(
            NAMES, ("uV",) * 2, RATE_HZ, (RATE_HZ,) * 2, n, (Segment(0, cut, 0.0), Segment(cut, n, cut / RATE_HZ + 9))
        )

    def read_uv(self, start: int, stop: int, channels: Sequence[int]) -> np.ndarray:
        return self.signal_uv[list(channels), start:stop]


@pytest.mark.parametrize("seed", range(4))
def test_scales_do_not_depend_on_the_filters_blocks(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for n_blocks in (1, 6):
        monkeypatch.setattr("eegfm.signal.processing.filters.OVERLAP_BLOCKS", n_blocks)
        found.append(FilteredStream(Recording(seed), [0, 1], SignalParams(), NAMES).scales_uv())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-3)
