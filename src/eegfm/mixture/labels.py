"""Labels of persons and recordings: from the tables of recordings into the mixture, and what a training has of them."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.errors import ConfigError
from eegfm.mixture.config import DEFAULT_LABELS, LabelKind
from eegfm.mixture.target_columns import LABEL_PREFIX

logger = logging.getLogger(__name__)

_COLUMN_OF = {"age": "age_years"}
"""Column of the recordings table, where it has another name than the label."""
_FEW_PERSONS = 20
_MOST_CLASSES = 1000


@dataclass(frozen=True)
class LabelFacts:
    """Facts about a label, from the persons that are trained on.

    Args:
        kind: A number, or one of several classes.
        classes: Names of the classes by number, sorted.
        mean: Mean over persons; a person of several recordings counts once.
        sd: Standard deviation over persons (ddof 0).
    """

    kind: LabelKind
    classes: tuple[str, ...] = ()
    mean: float = 0.0
    sd: float = 1.0


def with_labels(
    mixture: pd.DataFrame, recordings_by_corpus: Mapping[str, pd.DataFrame], names: Iterable[str]
) -> pd.DataFrame:
    """Add labels of the recordings to a mixture, for auxiliary heads.

    Args:
        mixture: See ``eegfm.mixture.table.mix_windows``.
        recordings_by_corpus: The recordings table of each corpus of the mixture.
        names: Labels. ``age`` is the column ``age_years``, any other one the column of its name.

    Returns:
        The mixture with a column ``label_<name>`` for each: floats, or texts where one corpus has any. A label of
        ``DEFAULT_LABELS`` that no corpus has is left out.

    Raises:
        ConfigError: No corpus has such a column, it holds lists or an infinite number, or a recording is not in its
            table.
    """
    corpora = [str(corpus) for corpus in mixture["corpus"].unique()]
    tables = {c: recordings_by_corpus[c].set_index("recording_id") for c in corpora}
    unknown = set(mixture["recording_id"]).difference(*(table.index for table in tables.values()))
    if unknown:
        raise ConfigError(
            f"{len(unknown)} recordings have windows, but are in no table of recordings ({min(unknown)}); cut the "
            "windows again: kedro run --pipelines=mix"
        )
    added = {}
    for name in names:
        column = _COLUMN_OF.get(name, name)
        found = [table[column] for table in tables.values() if column in table]
        if found:
            added[LABEL_PREFIX + name] = _values(pd.concat(found), name).reindex(mixture["recording_id"]).to_numpy()
        elif name not in DEFAULT_LABELS:
            there = sorted({str(c) for table in tables.values() for c in table})
            raise ConfigError(f"mix.labels: no corpus has a column {column!r}; there are {', '.join(there)}")
    return mixture.assign(**added)


def chosen_labels(
    mixture: pd.DataFrame, kinds: Mapping[str, LabelKind], *, says: bool = True
) -> tuple[pd.DataFrame, dict[str, LabelFacts]]:
    """Keep the labels that a training has heads for, and tell what its training persons have of each.

    Args:
        mixture: See ``with_labels``; with ``split``, and ``identity`` or ``person``.
        kinds: Kind of each label.
        says: Whether to log how many persons have each.

    Returns:
        The mixture with the columns of these labels alone: floats, NaN for unknown, or categories. And the facts by
        label. A class that no person of split ``train`` has is unknown everywhere.

    Raises:
        ConfigError: No training person has the label, all have the same, or it is of another kind.
    """
    others = [c for c in mixture if str(c).startswith(LABEL_PREFIX) and str(c).removeprefix(LABEL_PREFIX) not in kinds]
    kept = mixture.drop(columns=others)
    facts: dict[str, LabelFacts] = {}
    for name, kind in kinds.items():
        column = LABEL_PREFIX + name
        if column not in kept:
            there = sorted(str(c).removeprefix(LABEL_PREFIX) for c in mixture if str(c).startswith(LABEL_PREFIX))
            raise ConfigError(
                f"auxiliary head {name!r}: no corpus of the mixture has this label; there are {_listed(there)}; leave "
                "the head out (auxiliary.heads; auxiliary: null drops all), or name its column in mix.labels and make "
                "the mixture again: kedro run --pipelines=mix"
            )
        if says:
            _say_known(kept, column, name)
        values, facts[name] = _of_kind(kept, column, name, kind)
        kept = kept.assign(**{column: values})
    return kept, facts


def persons_of(mixture: pd.DataFrame) -> "pd.Series[Any]":
    """Return who each run is of: the identity, where one person has several names."""
    return mixture["identity" if "identity" in mixture else "person"]


def _values(found: "pd.Series[Any]", name: str) -> "pd.Series[Any]":
    """Numbers, or texts without empty ones."""
    if found.dropna().map(lambda value: isinstance(value, list | tuple | np.ndarray)).any():
        raise ConfigError(f"mix.labels: {name!r} holds lists; a label is one number or one class for each recording")
    is_text = found.map(lambda value: isinstance(value, str | bool | np.bool_)).any()
    if is_text:
        texts = found.map(_text)
        return texts.where(texts != "", None).astype("str")
    numbers = pd.to_numeric(found).astype("float64")
    if np.isinf(numbers).any():
        raise ConfigError(
            f"mix.labels: {name!r} of {numbers.index[np.isinf(numbers)][0]} is infinite; correct the corpus's table"
        )
    return numbers


def _text(value: Any) -> str:
    """A class's name; whole numbers without a point. Empty where nothing is known."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(float(value))
    return str(value)


def _of_kind(mixture: pd.DataFrame, column: str, name: str, kind: LabelKind) -> tuple["pd.Series[Any]", LabelFacts]:
    values = mixture[column]
    is_number = pd.api.types.is_numeric_dtype(values)
    if kind == "regression" and not is_number:
        raise ConfigError(
            f"auxiliary head {name!r}: its label is no number (found {_listed(sorted(set(values.dropna())))}); set "
            "kind: classes"
        )
    is_trained = (mixture["split"] == "train").to_numpy()
    known = is_trained & values.notna().to_numpy()
    if not known.any():
        raise ConfigError(
            f"auxiliary head {name!r}: nobody in split train has this label (persons with it: "
            f"{_counts(mixture, column)}); leave the head out (auxiliary.heads)"
        )
    if kind == "regression":
        mean, sd = _moments(values[known].to_numpy(np.float64), mixture[known])
        if not sd > 0:
            raise ConfigError(
                f"auxiliary head {name!r}: all who are trained on have the label {mean:g}; leave the head out"
            )
        return values.astype("float64"), LabelFacts(kind, mean=mean, sd=sd)
    texts = values.map(_text) if is_number else values
    classes = sorted(set(texts[known]))
    if not 1 < len(classes) <= _MOST_CLASSES:
        raise ConfigError(
            f"auxiliary head {name!r}: those who are trained on have {len(classes)} classes ({_listed(classes)}); 2 to "
            f"{_MOST_CLASSES} are allowed; leave the head out, or set kind: regression"
        )
    codes = pd.Categorical(texts.where(texts.isin(classes), None), categories=classes)
    return pd.Series(codes, index=values.index), LabelFacts(kind, classes=tuple(classes))


def _moments(values: NDArray[np.float64], rows: pd.DataFrame) -> tuple[float, float]:
    """Mean and standard deviation over persons of the mean over their recordings."""
    table = pd.DataFrame({"person": persons_of(rows), "recording": rows["recording_id"], "value": values})
    by_person = table.drop_duplicates(["person", "recording"]).groupby("person")["value"].mean()
    return float(by_person.mean()), float(by_person.std(ddof=0))


def _counts(mixture: pd.DataFrame, column: str) -> str:
    """Persons with a label, of all, by corpus and split."""
    table = pd.DataFrame({"person": persons_of(mixture), "is_known": mixture[column].notna()})
    said = []
    for (corpus, split), part in table.groupby([mixture["corpus"], mixture["split"]], sort=True):
        n_known = part.loc[part["is_known"], "person"].nunique()
        said.append(f"{corpus} {split} {n_known} of {part['person'].nunique()}")
    return ", ".join(said)


def _say_known(mixture: pd.DataFrame, column: str, name: str) -> None:
    is_known = mixture[column].notna() & (mixture["split"] == "train")
    n_known = persons_of(mixture)[is_known].nunique()
    say = logger.warning if n_known < _FEW_PERSONS else logger.info
    say("Label %s: persons who have it: %s", name, _counts(mixture, column))
    if not pd.api.types.is_numeric_dtype(mixture[column]):
        new = sorted(set(mixture[column].dropna()) - set(mixture.loc[is_known, column]))
        if new:
            logger.warning("Label %s: nobody who is trained on has %s, which counts as unknown", name, _listed(new))


def _listed(names: Sequence[Any], n_most: int = 8) -> str:
    return ", ".join([*map(str, names[:n_most]), *(["…"] if len(names) > n_most else [])]) or "none"
