import google_crc32c
import numpy as np
import pytest

import eegfm.store.checksums as module
from eegfm.store.checksums import BlockChecksums, block_checksums


@pytest.mark.parametrize("n", [0, 1, 99, 100, 101, 200, 250])
@pytest.mark.parametrize("cut", [1, 30, 100, 170, 1000])
def test_cuts_make_no_difference(monkeypatch: pytest.MonkeyPatch, n: int, cut: int) -> None:
    monkeypatch.setattr(module, "BLOCK_ROWS", 100)
    samples = np.random.default_rng(0).integers(-99, 99, (n, 3), dtype=np.int16)
    checksums = BlockChecksums()
    for first in range(0, n, cut):
        checksums.add(samples[first : first + cut])
    expected = [google_crc32c.value(samples[k : k + 100].tobytes()) for k in range(0, n, 100)]
    assert checksums.result() == block_checksums(samples) == expected
