"""Windows of two corpora, and a plan that draws from them."""

import numpy as np
import pytest

from eegfm.batch import WindowIndex
from eegfm.training.plans.mixture_plan import MixturePlan


@pytest.fixture
def groups(small, large, stores) -> dict[str, list[WindowIndex]]:
    """Three single windows per recording of hbn, a grid of three per recording of tuh."""
    found = {}
    for corpus, montage, n_samples in (("hbn", large, 20), ("tuh", small, 30)):
        n = stores[corpus].n_recordings
        recordings = np.arange(n, dtype=np.int32)
        if corpus == "hbn":
            firsts, owners, ends = np.tile([0, 15, 45], n) + np.repeat(recordings, 3) * 90, recordings.repeat(3), None
        else:
            firsts, owners, ends = recordings * 90, recordings, (recordings + 1) * 3
        firsts = firsts.astype(np.int64)
        found[corpus] = [WindowIndex(corpus, montage.name, n_samples, n_samples, firsts, owners, owners, ends)]
    return found


@pytest.fixture
def plan(groups) -> MixturePlan:
    return MixturePlan(groups, {"hbn": 0.6, "tuh": 0.4}, 5, seed=0)
