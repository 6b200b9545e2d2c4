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


def batch_counts(
    weights: Mapping[str, float],
    batch_size: int,
    world_size: int = 1,
    n_cuts: int = 1,
    *,
    multiples: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """Return the windows of each corpus in a batch, by corpus name in alphabetical order.

    Args:
        weights: Share of each corpus.
        batch_size: Windows of a step.
        world_size: Processes that share a step out.
        n_cuts: Parts that each process cuts its micro-batches into.
        multiples: By corpus, a number that divides its windows: pairs, and pairs that belong together, stay whole.

    Raises:
        ConfigError: A weight is not positive, they do not sum to 1, a count is not whole in every part or no multiple;
            the message names the nearest batch sizes that work.
    """
    if not weights or min(weights.values()) <= 0 or abs(sum(weights.values()) - 1) > 1e-6:
        raise ConfigError(f"mixture weights {dict(weights)} must be positive and sum to 1; change mix.weights")
    n_parts, multiples = world_size * n_cuts, multiples or {}
    units = {c: math.lcm(n_parts, multiples.get(c, 1)) for c in weights}
    shares = {c: Fraction(weights[c]).limit_denominator(max(1000, batch_size)) for c in sorted(weights)}
    parts = {c: share * batch_size / units[c] for c, share in shares.items()}
    if all(part.denominator == 1 and part > 0 for part in parts.values()):
        return {c: int(part) * units[c] for c, part in parts.items()}
    unit = math.lcm(*((share / units[c]).denominator for c, share in shares.items()))
    wanted = ", ".join(f"{c} {float(weights[c] * batch_size / n_parts):g}" for c in shares)
    whole = ", ".join(f"{c} {n}" for c, n in sorted(units.items()) if c in multiples)
    of_pairs = f"; pairs need multiples of: {whole} windows, all devices together" if whole else ""
    changes = "batch_size, accumulate or the weights" if n_cuts > 1 else "batch_size or the weights"
    raise ConfigError(
        f"batch_size {batch_size} cannot be shared out by the mixture weights "
        f"({wanted} windows{_where(world_size, n_cuts)}{of_pairs}); "
        f"nearest batch sizes that can: {_nearest(batch_size, unit, unit)}; change {changes}"
    )


def _nearest(batch_size: int, unit: int, least: int) -> str:
    """Name the nearest multiples of a unit, none below the least."""
    below = batch_size // unit * unit
    return " or ".join(str(size) for size in sorted({max(below, least), max(below + unit, least)}))


def _where(world_size: int, n_cuts: int) -> str:
    """Say of what a number of windows is."""
    cuts = f" in each of the {n_cuts} parts that accumulate asks for" if n_cuts > 1 else ""
    return cuts + (f" on each of {world_size} devices" if world_size > 1 else "")


def rounded_weights(
    weights: Mapping[str, float], batch_size: int, world_size: int = 1, n_cuts: int = 1, *, multiple: int = 1
) -> dict[str, float]:
    """Return the nearest weights that share a batch out in whole windows per process and cut, at least one per corpus.

    The rest after rounding down goes to the largest remainders (Hamilton's method), equal ones by name. The windows of
    each corpus are a multiple of ``multiple`` then.

    Raises:
        ConfigError: The batch is no multiple of the parts, or too small to hold every corpus.
    """
    n_parts = math.lcm(world_size * n_cuts, multiple)
    n_units, least = batch_size // n_parts, len(weights) * n_parts
    if batch_size % n_parts or n_units < len(weights):
        raise ConfigError(
            f"batch_size {batch_size} cannot hold {len(weights)} corpora{_where(world_size, n_cuts)}; "
            f"choose a multiple of {n_parts}, at least {least}: nearest {_nearest(batch_size, n_parts, least)}"
        )
    total = sum(weights.values())
    wanted = {corpus: weights[corpus] / total * n_units for corpus in sorted(weights)}
    counts = {corpus: max(math.floor(value), 1) for corpus, value in wanted.items()}
    while n_left := n_units - sum(counts.values()):
        one = 1 if n_left > 0 else -1
        changeable = [corpus for corpus, n in counts.items() if n + one > 0]
        counts[max(changeable, key=lambda corpus: one * (wanted[corpus] - counts[corpus]))] += one
    return {corpus: count / n_units for corpus, count in counts.items()}
