"""Draws are cut as ranks are, and pairs stay together."""

import numpy as np
import pytest

from eegfm.batch import WindowIndex, rank_slice
from eegfm.training.plans.plan import Draw, Likeness


@pytest.fixture
def group() -> WindowIndex:
    rows = np.arange(24, dtype=np.int64)
    return WindowIndex("tuh", "m", 10, 10, rows, rows.astype(np.int32), rows.astype(np.int32))


@pytest.mark.parametrize("n", [1, 2, 4])
def test_cuts_together_are_the_draw(group: WindowIndex, n: int) -> None:
    positions = np.random.default_rng(0).permutation(24)[:12]
    cuts = Draw(group, positions).cuts(n)
    assert len(cuts) == n
    assert all(cut.group is group and cut.likeness is None for cut in cuts)
    for k, cut in enumerate(cuts):
        assert cut.positions.tolist() == positions[rank_slice(k, n)].tolist()


def test_a_pair_stays_together(group: WindowIndex) -> None:
    anchors = np.array([3, 8, 1, 20])
    positions = np.concatenate([anchors, anchors + 1])
    draw = Draw(group, positions, Likeness(10 * positions, 100 * positions, 7, positions // 4))
    for cut in draw.cuts(2):
        half = len(cut.positions) // 2
        assert (cut.positions[half:] - cut.positions[:half]).tolist() == [1, 1]
        assert cut.likeness is not None
        assert cut.likeness.group.tolist() == (10 * cut.positions).tolist()
        assert cut.likeness.place.tolist() == (100 * cut.positions).tolist()
        assert cut.likeness.reach == 7
        assert cut.likeness.block is not None
        assert cut.likeness.block.tolist() == (cut.positions // 4).tolist()
