import numpy as np
import pytest

from eegfm.signal.processing.fingerprint import ChannelHashes


def hashes(x, block):
    out = ChannelHashes(len(x))
    for i in range(0, x.shape[1], block):
        for channel, samples in enumerate(x[:, i : i + block]):
            out.add(channel, samples)
    return out.result()


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(3, 1000)).astype(np.float32)


def test_blocks_make_no_difference(x):
    assert hashes(x, 1000) == hashes(x, 7) == hashes(np.asfortranarray(x), 333)


def test_a_channel_keeps_its_hash_among_others(x):
    assert hashes(x[[2, 0]], 100) == [hashes(x, 100)[2], hashes(x, 100)[0]]


def test_one_changed_sample_changes_one_hash(x):
    y = x.copy()
    y[1, 500] = np.nextafter(y[1, 500], np.float32(np.inf))
    before, after = hashes(x, 100), hashes(y, 100)
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True]
