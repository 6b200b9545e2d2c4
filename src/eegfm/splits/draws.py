"""Stable random draws of persons: by hash one by one, or to exact quotas within strata."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.errors import SplitError
from eegfm.splits.config import SplitParams

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def share(keys: Sequence[str], salt: str, purpose: str) -> Floats:
    """(P,) a number in [0, 1) per key, independent between purposes. One ratio therefore does not move another."""
    texts = [f"{salt}\0{purpose}\0{key}".encode() for key in keys]
    hashes = [int.from_bytes(hashlib.blake2b(text, digest_size=6).digest(), "big") for text in texts]
    return np.array(hashes, dtype=np.float64) / 2.0**48


def drawn(shares: NDArray[np.floating], ratio: float, strata: NDArray[np.object_] | None) -> Flags:
    """(P,) True for persons that are drawn.

    Without strata, these are the persons whose number is below the ratio. With strata, these are the first persons of
    each stratum. The total is rounded. The strata get whole numbers that add up to the total; the largest remainders
    are rounded up.
    """
    if strata is None:
        return shares < ratio
    codes, names = pd.factorize(strata, sort=True)
    wanted = ratio * np.bincount(codes, minlength=len(names))
    quotas = np.floor(wanted + 1e-9).astype(np.int64)
    n_left = round(float(wanted.sum())) - int(quotas.sum())
    quotas[np.argsort(-(wanted - quotas), kind="stable")[: max(n_left, 0)]] += 1
    is_first: Flags = _rank(shares, codes) < quotas[codes]
    return is_first


def folds(identities: Sequence[str], params: SplitParams, strata: NDArray[np.object_] | None) -> Ints:
    """(P,) fold of each test identity.

    With ``leave_one_person_out``, every identity is a fold. Otherwise the hash decides. With strata, the persons of
    each stratum are dealt out over the folds in the order of their hashes.

    Raises:
        SplitError: A fold is empty.
    """
    if params.folds == "leave_one_person_out":
        return np.argsort(np.argsort(np.asarray(identities, dtype=object))).astype(np.int64)
    shares = share(identities, params.salt, "fold")
    if strata is None:
        fold = np.floor(shares * params.folds).astype(np.int64)
    else:
        order = np.lexsort((shares, pd.factorize(strata, sort=True)[0]))
        fold = np.empty(len(order), dtype=np.int64)
        fold[order] = np.arange(len(order)) % params.folds
    counts = np.bincount(fold, minlength=params.folds)
    if not counts.all():
        raise SplitError(
            f"split.folds {params.folds}: fold {int(np.argmin(counts))} has no person (persons per fold: "
            f"{counts.tolist()}); lower it, leave one person out, choose another salt, or set split.stratify_by, which "
            "fills folds evenly"
        )
    return fold


def _rank(shares: NDArray[np.floating], codes: Ints) -> Ints:
    """(P,) place of each share within its stratum."""
    order = np.lexsort((shares, codes))
    starts = np.searchsorted(codes[order], codes[order])
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order)) - starts
    return rank
