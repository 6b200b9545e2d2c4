"""Decide the ratio of the corpora in a mixture, and the whole windows of each in a batch."""

import logging
import math
from collections.abc import Mapping
from fractions import Fraction

import pandas as pd

from eegfm.errors import ConfigError
from eegfm.mixture.config import BY_SIZE, MixtureParams

logger = logging.getLogger(__name__)


def corpus_shares(mixture: pd.DataFrame, params: MixtureParams) -> dict[str, float]:
    """Decide the share of each corpus in the windows of a batch.

    Args:
        mixture: Columns corpus, identity, split, n_samples, n_windows.
        params: Given weights, or sizes to follow.

    Raises:
        ConfigError: A corpus has no weight, or shares of hours with windows of several lengths in one corpus.
    """
    trained = mixture[mixture["split"] == "train"]
    weights = (
        _sizes(trained, params).pow(1 / params.temperature) if params.weights == BY_SIZE else _given(mixture, params)
    )
    if params.by == "hours":
        weights = weights / _window_lengths(mixture)
    shares = {str(corpus): float(share) for corpus, share in (weights / weights.sum()).items()}
    described = ", ".join(f"{corpus} {share:.3g}" for corpus, share in shares.items())
    absent = sorted(set(params.given_weights) - set(shares))
    missing = f"; not part of this run: {', '.join(absent)}" if absent else ""
    logger.info("Mixture by %s, as shares of windows: %s%s", params.by, described, missing)
    return shares


def _given(mixture: pd.DataFrame, params: MixtureParams) -> "pd.Series[float]":
    present = sorted(set(mixture["corpus"]))
    without = sorted(set(present) - set(params.given_weights))
    if without:
        raise ConfigError(
            f"mix.weights: no weight for corpus {', '.join(without)}; weights are given for "
            f"{sorted(params.given_weights)}"
        )
    return pd.Series({corpus: params.given_weights[corpus] for corpus in present}, dtype="float64")


def _sizes(trained: pd.DataFrame, params: MixtureParams) -> "pd.Series[float]":
    """Size of each corpus in the unit of the shares, as an epoch shows it."""
    n_windows = trained["n_windows"].astype("int64").groupby([trained["corpus"], trained["identity"]]).sum()
    if params.max_windows_per_person is not None:
        n_windows = n_windows.clip(upper=params.max_windows_per_person)
    by_corpus = n_windows.groupby(level="corpus")
    if params.by == "persons":
        return by_corpus.size().astype("float64")
    sizes = by_corpus.sum().astype("float64")
    return sizes * _window_lengths(trained) if params.by == "hours" else sizes


def _window_lengths(mixture: pd.DataFrame) -> "pd.Series[float]":
    """Samples of a window, by corpus."""
    lengths = mixture.groupby("corpus")["n_samples"].agg(["min", "max"])
    mixed = lengths[lengths["min"] != lengths["max"]]
    if len(mixed):
        found = ", ".join(str(n) for n in sorted(set(mixture.loc[mixture["corpus"] == mixed.index[0], "n_samples"])))
        raise ConfigError(
            f"mix.by: hours cannot be shared out in corpus {mixed.index[0]}, whose windows are of {found} samples; "
            "cut windows of one length, or choose windows or persons"
        )
    return lengths["min"].astype("float64")


def batch_counts(weights: Mapping[str, float], batch_size: int, world_size: int = 1) -> dict[str, int]:
    """Windows of each corpus in a batch, by corpus name in alphabetical order.

    Raises:
        ConfigError: A weight is not positive, they do not sum to 1, or a count is not whole on every process; the
            message names the nearest batch sizes that work.
    """
    if not weights or min(weights.values()) <= 0 or abs(sum(weights.values()) - 1) > 1e-6:
        raise ConfigError(f"mixture weights {dict(weights)} must be positive and sum to 1; change mix.weights")
    shares = {c: Fraction(weights[c]).limit_denominator(max(1000, batch_size)) for c in sorted(weights)}
    parts = {c: share * batch_size / world_size for c, share in shares.items()}
    if all(part.denominator == 1 and part > 0 for part in parts.values()):
        return {c: int(part) * world_size for c, part in parts.items()}
    unit = math.lcm(*((share / world_size).denominator for share in shares.values()))
    below = batch_size // unit * unit
    nearest = [size for size in (below, below + unit) if size > 0]
    wanted = ", ".join(f"{c} {float(weights[c] * batch_size / world_size):g}" for c in shares)
    over = f" on each of {world_size} devices" if world_size > 1 else ""
    raise ConfigError(
        f"batch_size {batch_size} cannot be shared out by the mixture weights ({wanted} windows{over}); "
        f"nearest batch sizes that can: {' or '.join(map(str, nearest))}; change batch_size or the weights"
    )


def rounded_weights(weights: Mapping[str, float], batch_size: int, world_size: int = 1) -> dict[str, float]:
    """The nearest weights that share a batch out in whole windows per process, at least one for every corpus.

    The rest after rounding down goes to the largest remainders (Hamilton's method), equal ones by name.

    Raises:
        ConfigError: The batch is no multiple of the processes, or too small to hold every corpus.
    """
    n_units = batch_size // world_size
    if batch_size % world_size or n_units < len(weights):
        raise ConfigError(
            f"batch_size {batch_size} cannot hold {len(weights)} corpora on each of {world_size} devices; "
            f"choose a multiple of {world_size}, at least {len(weights) * world_size}"
        )
    total = sum(weights.values())
    wanted = {corpus: weights[corpus] / total * n_units for corpus in sorted(weights)}
    counts = {corpus: max(math.floor(value), 1) for corpus, value in wanted.items()}
    while n_left := n_units - sum(counts.values()):
        one = 1 if n_left > 0 else -1
        changeable = [corpus for corpus, n in counts.items() if n + one > 0]
        counts[max(changeable, key=lambda corpus: one * (wanted[corpus] - counts[corpus]))] += one
    return {corpus: count / n_units for corpus, count in counts.items()}
