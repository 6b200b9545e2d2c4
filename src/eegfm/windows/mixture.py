"""Put the windows of several corpora together for training, with the share each has in a batch."""

import hashlib
import logging
from collections.abc import Mapping

import pandas as pd

from eegfm.errors import ConfigError, SplitError
from eegfm.windows.config import MixtureParams
from eegfm.windows.splits import check_splits, count_by_split

logger = logging.getLogger(__name__)

_TRAINED = ("pretrain", "validation")


def mix_windows(
    windows_by_corpus: Mapping[str, pd.DataFrame], splits: pd.DataFrame, params: MixtureParams
) -> pd.DataFrame:
    """Choose the windows that training draws from.

    Args:
        windows_by_corpus: The windows table of each corpus.
        splits: One row per person.
        params: Weights by corpus and the cut whose windows are drawn.

    Returns:
        The windows of the cut for persons in ``pretrain`` or ``validation``, with ``split`` and ``weight`` (the
        corpus's share, normalised over the corpora that are there), ordered by corpus, recording and start.

    Raises:
        ConfigError: A corpus has windows to train on but no weight.
        SplitError: A person stands in two splits or in none, or a split has no window.
    """
    check_splits(splits)
    split_of = splits.set_index("person")["split"]
    tables = [_trained(corpus, table, split_of, params) for corpus, table in sorted(windows_by_corpus.items())]
    filled = [table for table in tables if not table.empty]
    if not filled:
        raise SplitError(f"no window of cut {params.task!r} to train on in {sorted(windows_by_corpus)}")
    mixture = pd.concat(filled, ignore_index=True)
    _refuse_empty(mixture, set(windows_by_corpus), splits, params)
    shares = _shares(set(mixture["corpus"]), params)
    mixture = mixture.assign(weight=mixture["corpus"].map(shares).astype("float64"))
    persons = mixture[["person", "split"]].drop_duplicates()
    assert not persons["person"].duplicated().any(), "no person is in two splits"
    return mixture.sort_values(["corpus", "recording_id", "start"], ignore_index=True)


def mixture_sha256(mixture: pd.DataFrame) -> str:
    """Hash of which window is in which split with which weight, in the table's order."""
    columns = ["recording_id", "start", "n_samples", "split", "weight"]
    hashes = pd.util.hash_pandas_object(mixture[columns], index=False).to_numpy()
    return hashlib.sha256(hashes.astype("<u8").tobytes()).hexdigest()


def _trained(corpus: str, windows: pd.DataFrame, split_of: "pd.Series[str]", params: MixtureParams) -> pd.DataFrame:
    """Windows of the cut whose persons are trained on, with their split."""
    windows = windows[windows["task"] == params.task]
    unknown = sorted(set(windows["person"]) - set(split_of.index))
    if unknown:
        raise SplitError(
            f"{corpus}: {len(unknown)} persons have windows but no split (first: {unknown[0]}); split again"
        )
    windows = windows.assign(split=windows["person"].map(split_of).astype("str"))
    return windows[windows["split"].isin(_TRAINED)]


def _shares(present: set[str], params: MixtureParams) -> dict[str, float]:
    without = sorted(present - set(params.weights))
    if without:
        raise ConfigError(
            f"mix.weights: no weight for corpus {', '.join(without)}; weights are given for {sorted(params.weights)}"
        )
    absent = sorted(set(params.weights) - present)
    total = sum(params.weights[corpus] for corpus in present)
    shares = {corpus: params.weights[corpus] / total for corpus in sorted(present)}
    if absent:
        described = ", ".join(f"{corpus} {share:.3g}" for corpus, share in shares.items())
        logger.info("Mixture of %s; not part of this run: %s", described, ", ".join(absent))
    return shares


def _refuse_empty(mixture: pd.DataFrame, corpora: set[str], splits: pd.DataFrame, params: MixtureParams) -> None:
    pretrained = set(mixture.loc[mixture["split"] == "pretrain", "corpus"])
    untrained = sorted((corpora & set(params.weights)) - pretrained)
    if untrained:
        raise SplitError(
            f"no {params.task!r} window to train on in corpus {', '.join(untrained)} "
            f"(windows: {count_by_split(mixture)}); leave it out of mix.weights or add recordings"
        )
    if "validation" in set(splits["split"]) and "validation" not in set(mixture["split"]):
        raise SplitError(
            f"no {params.task!r} window in split validation (windows: {count_by_split(mixture)}); "
            "raise split.validation_ratio or choose another salt"
        )
