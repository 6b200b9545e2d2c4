"""Movie moments that are found again in other persons."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from eegfm.evaluation.features import zscore_per_person
from eegfm.evaluation.linear import Standardizer
from eegfm.evaluation.retrieval import Moments, moment_hits


def viewers(n_persons: int, n_moments: int, n_movies: int = 1, reach: int = 0) -> Moments:
    """Everybody sees every moment of every movie."""
    persons, movies, moments = (
        axis.reshape(-1) for axis in np.meshgrid(*map(np.arange, (n_persons, n_movies, n_moments)), indexing="ij")
    )
    return Moments(persons, persons * n_movies + movies, movies, moments, reach)


def responses(moments: Moments, shared: float, offset: float = 1.0) -> NDArray[np.float32]:
    """Noise, an offset of each person, and what a moment does to everybody."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=(moments.cells.max() + 1, 6))
    offsets = offset * rng.normal(size=(moments.persons.max() + 1, 6)) + 100
    noise = rng.normal(size=(len(moments.persons), 6))
    found: NDArray[np.float32] = (offsets[moments.persons] + shared * common[moments.cells] + noise).astype(np.float32)
    return found


def looped(features: NDArray[Any], moments: Moments, n_candidates: int) -> list[float]:
    """The same, window by window."""
    hits = []
    for w in range(len(features)):
        other = moments.persons != moments.persons[w]
        standardised = Standardizer.fit(features[other])
        candidates = {}
        for v in np.flatnonzero(moments.viewings == moments.viewings[w]):
            same = other & (moments.movies == moments.movies[v]) & (moments.moments == moments.moments[v])
            if same.any():
                known = np.where(np.isnan(features[same]), 0.0, 1.0).sum(axis=0)
                total = np.nansum(features[same].astype(np.float64), axis=0)
                mean = np.where(known > 0, total / np.maximum(known, 1), np.nan)
                candidates[int(moments.moments[v])] = standardised(mean[None])[0]
        own = int(moments.moments[w])
        apart = [m for m in candidates if abs(m - own) > moments.reach]
        if own not in candidates or len(apart) < n_candidates - 1:
            hits.append(np.nan)
            continue
        query = standardised(features[w : w + 1])[0]
        cosine = {m: query @ c / np.linalg.norm(query) / np.linalg.norm(c) for m, c in candidates.items()}
        nearer = sum(cosine[m] >= cosine[own] for m in apart)
        n, k = len(apart), n_candidates - 1
        hits.append(math.comb(n - nearer, k) / math.comb(n, k))
    return hits


@pytest.mark.parametrize("reach", [0, 1])
def test_hits_are_those_of_a_loop(reach: int) -> None:
    """Viewings lack moments, a person saw a movie twice, features are unknown or constant."""
    whole = viewers(5, 9, 2, reach)
    rng = np.random.default_rng(1)
    chosen = rng.random(len(whole.persons)) < 0.8
    chosen[(whole.movies == 1) & (whole.persons > 0)] &= whole.moments[(whole.movies == 1) & (whole.persons > 0)] < 4
    moments = whole.at(chosen)
    viewings = np.where((moments.persons == 2) & (moments.movies == 1), 99, moments.viewings)
    twice = (moments.persons == 2) & (moments.movies == 0)
    columns = [np.append(c, c[twice]) for c in (moments.persons, viewings, moments.movies, moments.moments)]
    columns[1][len(viewings) :] = 100
    moments = Moments(*columns, reach)
    features = responses(moments, 1.0)
    features[rng.random(features.shape) < 0.05] = np.nan
    features[moments.persons == 3, 1] = np.nan
    features[:, 4] = 7.0
    found = moment_hits(features, moments, 4)
    expected = looped(features, moments, 4)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    np.testing.assert_array_equal(np.isfinite(found), moments.counted(4))
    assert np.isnan(found).any()
    assert 0.3 < np.nanmean(found) < 1


def test_what_a_movie_does_to_everybody_is_found_and_shuffled_moments_are_not() -> None:
    moments = viewers(30, 70)
    features = responses(moments, 1.0, offset=20.0)
    plain, centred = features, zscore_per_person(features, moments.persons)
    assert moment_hits(plain, moments, 64).mean() < 2 / 64, "all of a person's windows look like the same moment"
    assert moment_hits(centred, moments, 64).mean() > 5 / 64
    features = responses(moments, 1.0, offset=0.2)
    assert moment_hits(features, moments, 64).mean() > 5 / 64
    rng = np.random.default_rng(0)
    shuffled = np.concatenate([rng.permutation(70) for _ in range(30)])
    of_chance = moment_hits(features, Moments(moments.persons, moments.viewings, moments.movies, shuffled, 0), 64)
    assert of_chance.mean() == pytest.approx(1 / 64, abs=4 * np.sqrt(1 / 64 / len(shuffled)))


def test_the_person_is_never_among_the_others() -> None:
    """What only one person has at a moment finds nothing."""
    moments = viewers(4, 12)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(len(moments.persons), 8))
    features[moments.persons == 1] *= 1e3
    assert moment_hits(features, moments, 4)[moments.persons == 1].mean() < 0.6
    alone = moments.at(moments.persons == 0)
    assert np.isnan(moment_hits(features[moments.persons == 0], alone, 4)).all()
    assert not alone.counted(2).any()


def test_constant_features_find_nothing() -> None:
    moments = viewers(3, 8)
    assert not moment_hits(np.full((24, 5), 0.1, dtype=np.float32), moments, 4).any()


def test_moments_that_overlap_are_never_told_apart() -> None:
    assert viewers(2, 8, reach=0).counted(8).all()
    near = viewers(2, 8, reach=1)
    assert not near.counted(8).any()
    assert near.counted(7).tolist() == [True, *[False] * 6, True] * 2
    assert near.counted(6).all()
