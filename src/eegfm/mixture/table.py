"""Build the mixture table: windows of several corpora, with the share of each corpus in a batch."""

import hashlib
import json
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from eegfm.errors import ConfigError, SplitError
from eegfm.mixture.config import BY_SIZE, MixtureParams
from eegfm.mixture.shares import corpus_shares
from eegfm.mixture.target_columns import class_names, target_columns
from eegfm.splits.splits import check_splits

_TRAINED = ("train", "validation")
_HASHED = ["recording_id", "identity", "segment", "start", "n_samples", "stride", "n_windows", "moment", "split"]
_ORDER = ["corpus", "identity", "recording_id", "start"]
_RULES = ["weight", "drawn_by", "max_windows_per_person", "is_rounded"]


def mix_windows(
    windows_by_corpus: Mapping[str, pd.DataFrame],
    splits: pd.DataFrame,
    params: MixtureParams,
    *,
    rate_hz: float | None = None,
) -> pd.DataFrame:
    """Choose the windows that training draws from, with the share of each corpus.

    Args:
        windows_by_corpus: The windows table of each corpus, one row per run.
        splits: One row per person: person, identity, split.
        params: Shares of the corpora and the cuts whose windows are drawn.
        rate_hz: Rate of all recordings, for hours in messages; without it they say samples.

    Returns:
        The runs of ``params.cut`` for persons in ``train`` or ``validation``, ordered by corpus, identity, recording
        and start; then those of each further cut in the same order, for the same corpora. Columns ``identity`` and
        ``split`` are added. So are columns with one value per corpus: ``weight``, its share of the windows of a batch;
        ``is_rounded``, whether the weight may be rounded to whole windows of a batch or is kept exactly; ``drawn_by``,
        ``windows`` or ``persons``; ``max_windows_per_person``, 0 for no limit; ``mix_cut``, the cut whose windows are
        drawn one by one.

    Raises:
        ConfigError: A corpus has windows to train on but no weight, or shares of hours with windows of several
            lengths in one corpus.
        SplitError: A person stands in two splits or in none, or a split or a cut has no window.
    """
    check_splits(splits)
    mixture = _rows_of(params.cut, windows_by_corpus, splits)
    assert (mixture.groupby("identity")["split"].nunique() == 1).all(), "no person is in two splits"
    _refuse_empty(mixture, set(windows_by_corpus), splits, params, rate_hz)
    mixture = mixture.assign(
        weight=mixture["corpus"].map(corpus_shares(mixture, params)).astype("float64"),
        drawn_by="persons" if params.by == "persons" else "windows",
        max_windows_per_person=np.int64(params.max_windows_per_person or 0),
        is_rounded=params.weights == BY_SIZE,
        mix_cut=params.cut,
    )
    of_corpus = mixture.groupby("corpus", sort=True)[[*_RULES, "mix_cut"]].first()
    parts = [mixture.sort_values(_ORDER)]
    for cut in params.further_cuts:
        further = _rows_of(cut, {corpus: windows_by_corpus[corpus] for corpus in of_corpus.index}, splits)
        parts.append(further.join(of_corpus, on="corpus")[list(mixture)].sort_values(_ORDER))
    return pd.concat(parts, ignore_index=True)


def drawn_rows(mixture: pd.DataFrame, cuts: Iterable[str | None]) -> pd.DataFrame:
    """Return the rows of a mixture that a training draws from.

    Args:
        mixture: See ``mix_windows``; a table without ``mix_cut`` is of one cut.
        cuts: Names of the cuts; None for the one whose windows are drawn one by one.

    Raises:
        ConfigError: The mixture holds no such cut.
    """
    own = mix_cut(mixture)
    names = {own if cut is None else cut for cut in cuts}
    if "cut" not in mixture:
        return mixture
    there = sorted(map(str, mixture["cut"].unique()))
    missing = sorted(name for name in names if name not in there)
    if missing:
        raise ConfigError(
            f"pairs are to be made of windows of cut {missing[0]!r}, but the mixture holds {', '.join(there)}; add "
            f"{missing[0]} to mix.cuts (and to the window.cuts of a corpus), or name another cut in pairs.cut"
        )
    return mixture[mixture["cut"].isin(names)]


def mix_cut(mixture: pd.DataFrame) -> str:
    """Return the cut of a mixture whose windows are drawn one by one.

    Raises:
        ConfigError: The table does not say it.
    """
    column = "mix_cut" if "mix_cut" in mixture else "cut"
    found = sorted(map(str, mixture[column].unique())) if column in mixture else [""]
    if len(found) != 1:
        raise ConfigError(
            f"the mixture says {column} {', '.join(found) or 'nowhere'}, one is allowed; make the mixture again"
        )
    return found[0]


def mixture_sha256(mixture: pd.DataFrame) -> str:
    """Return the hash of the windows, their splits, targets and the way they are drawn, in the table's order."""
    columns = [name for name in _HASHED + _RULES if name in mixture]
    columns += ["cut"] if "cut" in mixture and mixture["cut"].nunique() > 1 else []
    hashes = pd.util.hash_pandas_object(mixture[columns], index=False).to_numpy()
    sha = hashlib.sha256(hashes.astype("<u8").tobytes())
    for name, values in target_columns(mixture).items():
        # Hash targets as training uses them: the number of a class, and the name of this number.
        said = [name, values.dtype.str, *values.shape, *class_names(mixture, name)]
        sha.update(json.dumps(said).encode())
        sha.update(np.ascontiguousarray(values).tobytes())
    return sha.hexdigest()


def count_windows(mixture: pd.DataFrame, rate_hz: float | None = None) -> str:
    """Count recordings, windows, hours (samples if the rate is unknown) and persons per corpus and split, in words."""
    n_windows = mixture["n_windows"].astype("int64")
    sized = mixture.assign(n_windows=n_windows, n_samples=n_windows * mixture["n_samples"])
    said = []
    for (corpus, split), part in sized.groupby(["corpus", "split"], sort=True):
        n_samples = int(part["n_samples"].sum())
        length = f"{n_samples} samples" if rate_hz is None else f"{n_samples / rate_hz / 3600:.3g} hours"
        said.append(
            f"{corpus} {split}: {part['recording_id'].nunique()} recordings, {part['n_windows'].sum()} windows, "
            f"{length}, {part['person'].nunique()} persons"
        )
    return "; ".join(said) or "none at all"


def _rows_of(cut: str, windows_by_corpus: Mapping[str, pd.DataFrame], splits: pd.DataFrame) -> pd.DataFrame:
    """Runs of a cut in all corpora."""
    tables = [_trained(corpus, table, splits, cut) for corpus, table in sorted(windows_by_corpus.items())]
    filled = [table for table in tables if not table.empty]
    if not filled:
        raise SplitError(f"no window of cut {cut!r} to train on in {sorted(windows_by_corpus)}")
    return pd.concat(filled, ignore_index=True)


def _trained(corpus: str, windows: pd.DataFrame, splits: pd.DataFrame, cut: str) -> pd.DataFrame:
    """Runs of the cut whose persons are trained on, with their identity and split."""
    windows = windows[windows["cut"] == cut]
    place = pd.Index(splits["person"]).get_indexer(pd.Index(windows["person"]))
    if (place < 0).any():
        unknown = sorted(set(windows.loc[place < 0, "person"]))
        raise SplitError(
            f"{corpus}: {len(unknown)} persons have windows but no split (first: {unknown[0]}); split again"
        )
    of_window = splits[["identity", "split"]].iloc[place].set_axis(windows.index)
    windows = windows.assign(identity=of_window["identity"].astype("str"), split=of_window["split"].astype("str"))
    return windows[windows["split"].isin(_TRAINED)]


def _refuse_empty(
    mixture: pd.DataFrame, corpora: set[str], splits: pd.DataFrame, params: MixtureParams, rate_hz: float | None
) -> None:
    trained = set(mixture.loc[mixture["split"] == "train", "corpus"])
    by_split = set(splits.loc[splits["split"] == "train", "corpus"])
    expected = by_split if params.weights == BY_SIZE else set(params.given_weights)
    untrained = sorted((corpora & expected) - trained)
    if untrained:
        raise SplitError(
            f"no {params.cut!r} window to train on in corpus {', '.join(untrained)} "
            f"({count_windows(mixture, rate_hz)}); leave it out of corpora.pretrain and mix.weights or add recordings"
        )
    if "validation" in set(splits["split"]) and "validation" not in set(mixture["split"]):
        raise SplitError(
            f"no {params.cut!r} window in split validation ({count_windows(mixture, rate_hz)}); "
            "raise split.validation_ratio or choose another salt"
        )
