"""Draws by hash and to exact quotas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from eegfm.errors import SplitError
from eegfm.splits.config import SplitParams
from eegfm.splits.draws import drawn, folds, share

NAMES = [f"p{k}" for k in range(400)]


def test_shares_are_uniform_stable_and_independent_between_purposes() -> None:
    shares = share(NAMES, "eegfm", "validation")
    assert kstest(shares, "uniform").pvalue > 0.01
    assert share(["hbn:a"], "eegfm", "validation")[0] == pytest.approx(0.2309452, abs=1e-6)
    assert abs(np.corrcoef(shares, share(NAMES, "eegfm", "evaluation"))[0, 1]) < 0.15


@settings(max_examples=60, deadline=None)
@given(strata=st.lists(st.sampled_from("abcd"), min_size=1, max_size=60), ratio=st.floats(0, 0.99))
def test_quotas_are_exact(strata: list[str], ratio: float) -> None:
    of = np.array(strata, dtype=object)
    shares = share(NAMES[: len(strata)], "s", "validation")
    chosen = drawn(shares, ratio, of)
    assert abs(int(chosen.sum()) - ratio * len(strata)) <= 0.5 + 1e-6
    for name in set(strata):
        mine = of == name
        assert abs(int(chosen[mine].sum()) - ratio * mine.sum()) < 1 + 1e-6
        # The first by hash, nobody else.
        assert (
            not chosen[mine].any()
            or chosen[mine].all()
            or shares[mine][chosen[mine]].max() < shares[mine][~chosen[mine]].min()
        )


def test_folds_by_hash_do_not_move() -> None:
    params = SplitParams(folds=4)
    few = dict(zip(NAMES[:50], folds(NAMES[:50], params, None), strict=True))
    many = dict(zip(NAMES, folds(NAMES, params, None), strict=True))
    assert many.items() >= few.items()
    assert np.bincount(list(many.values())).min() > 70


def test_leaving_one_out_numbers_everyone() -> None:
    assert folds(["b", "c", "a"], SplitParams(), None).tolist() == [1, 2, 0]


def test_strata_are_dealt_out_evenly() -> None:
    strata = np.array(["x"] * 13 + ["y"] * 9, dtype=object)
    found = folds(NAMES[:22], SplitParams(folds=4), strata)
    assert sorted(np.bincount(found)) == [5, 5, 6, 6]
    for name in "xy":
        counts = np.bincount(found[strata == name], minlength=4)
        assert counts.max() - counts.min() <= 1


def test_an_empty_fold_says_the_counts() -> None:
    with pytest.raises(
        SplitError, match=r"split\.folds 5: fold \d has no person \(persons per fold: \[.*\]\); lower it"
    ):
        folds(NAMES[:4], SplitParams(folds=5), None)
