"""Assign each person to one split over all corpora."""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from eegfm.errors import SplitError
from eegfm.splits.config import Roles, SplitParams
from eegfm.splits.decide import Units, by_hash, by_part
from eegfm.splits.draws import folds
from eegfm.splits.official import official_parts
from eegfm.splits.persons import Person, identify, some, texts
from eegfm.splits.test_sets import find_test_sets, log_unknown

logger = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test", "excluded")
NO_FOLD = -1
COLUMNS = {
    "person": "str",
    "corpus": "str",
    "identity": "str",
    "split": "str",
    "fold": "int64",
    "reason": "str",
    "keys": "object",
    "recordings": "object",
    "signals": "object",
}
"""Columns of the splits table, one row per person of a corpus.

``person`` is the name in the tables of the corpus. ``identity`` is the name of the human being; rows of one identity
have one ``split`` and one ``fold``. ``keys`` are all names of the identity, as runs compare them. ``recordings`` are
the ids of the person's recordings and ``signals`` a short hash of each, see ``eegfm.splits.persons``. Persons of one
``fold`` are held out together. ``fold`` is -1 outside split ``test``.
"""
_DECIDING = ("person", "identity", "split")
_TRACES = ("keys", "recordings", "signals")


def split_persons(recordings_by_corpus: Mapping[str, pd.DataFrame], roles: Roles, params: SplitParams) -> pd.DataFrame:
    """Give every person one split, whichever corpora and names it has.

    Each name of a person draws a split by a stable hash. The most held-out draw decides (test, then validation, then
    training). More data therefore moves nobody, and a new link can only move persons out of training. Persons of
    official test sets are never trained on: they are in split ``test`` if their corpus is probed, else ``excluded``.
    All persons of corpora that are only probed are in split ``test``.

    With ``split.protocol: official``, probed corpora are divided as published, see ``eegfm.splits.official``.

    Args:
        recordings_by_corpus: The recordings table of each corpus.
        roles: Role of each corpus. A pretraining corpus that is absent is left out and logged.
        params: Ratios, links, test sets.

    Returns:
        The columns of ``COLUMNS``, ordered by person.

    Raises:
        SplitError: A split or fold that the roles need is empty, a probed corpus is absent or has no official split
            where it should, or parameters name a person, corpus or set that does not exist.
    """
    present = {corpus: table for corpus, table in recordings_by_corpus.items() if not table.empty}
    absent = [corpus for corpus in roles.pretrain if corpus not in present]
    if absent:
        logger.warning("Pretraining without %s: no recordings", ", ".join(absent))
    missing = [corpus for corpus in roles.probe if corpus not in present]
    if missing:
        raise SplitError(f"corpora.probe: corpus {missing[0]!r} has no recordings; there are {sorted(present)}")
    if not present:
        raise SplitError("no corpus has recordings; see the rejected tables for the reasons")
    log_unknown(present, roles.pretrain, params)
    persons = identify(present, params)
    sets = find_test_sets(present, persons, params)
    parts = official_parts(present, persons, roles, params) if params.protocol == "official" else None
    strata = _strata(present, persons, roles, params.stratify_by) if params.stratify_by else None
    decided = _split_identities(persons, sets, parts, roles, params, strata)
    rows = [
        (p.person, p.corpus, p.identity, *decided[p.identity], p.joined, p.keys, p.recordings, p.signals)
        for p in persons
    ]
    names = ["person", "corpus", "identity", "split", "fold", "reason", "joined", "keys", "recordings", "signals"]
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    columns["reason"] = [
        why + (f"; one person by equal signals: {joined}" if joined else "")
        for why, joined in zip(columns["reason"], columns.pop("joined"), strict=True)
    ]
    splits = pd.DataFrame({name: pd.Series(columns[name], dtype=dtype) for name, dtype in COLUMNS.items()})
    check_splits(splits)
    _refuse_empty(splits, roles, params)
    return splits


def check_splits(splits: pd.DataFrame) -> None:
    """Refuse a table in which a person is in two splits, under whatever names.

    Raises:
        SplitError: With the first persons concerned.
    """
    missing = [name for name in _DECIDING if name not in splits]
    if missing:
        raise SplitError(
            f"the splits table has no column {', '.join(missing)}; make it again with: kedro run --pipelines=mix"
        )
    unknown = sorted(set(splits["split"]) - set(SPLITS))
    if unknown:
        raise SplitError(f"the splits table names split {unknown[0]!r}; known: {', '.join(SPLITS)}")
    n_rows = Counter(splits["person"].tolist())
    twice = sorted(person for person, n in n_rows.items() if n > 1)
    if twice:
        raise SplitError(f"{len(twice)} persons are listed more than once in the splits table: {some(twice)}")
    identities = splits["identity"].tolist()
    for name in ("split", "fold"):
        if name in splits:
            _refuse_several("identities", name, zip(identities, splits[name].tolist(), strict=True))
    for name in _TRACES:
        if name in splits:
            lists = zip(splits[name].tolist(), identities, strict=True)
            _refuse_several(name, "identity", ((value, own) for values, own in lists for value in values if value))
    if "fold" in splits and ((splits["split"] == "test") != (splits["fold"] >= 0)).any():
        raise SplitError("the splits table has folds outside of split test, or none in it; split again")


def splits_sha256(splits: pd.DataFrame) -> str:
    """Hash of identities, names, signals, splits and folds. It does not depend on the order of the rows."""
    columns = ["person", "corpus", "identity", "split", "fold"]
    traces = [splits[name].map(lambda values: " ".join(map(str, values))) for name in _TRACES if name in splits]
    cells = zip(*(splits[name].tolist() for name in columns), *(trace.tolist() for trace in traces), strict=True)
    rows = sorted("\t".join(map(str, row)) + "\n" for row in cells)
    return hashlib.sha256("".join(rows).encode()).hexdigest()


def count_by_split(table: pd.DataFrame) -> str:
    """Rows per corpus and split, in words."""
    pairs = Counter(zip(table["corpus"], table["split"], strict=True))
    return "; ".join(f"{corpus} {split} {n}" for (corpus, split), n in sorted(pairs.items())) or "none"


def _split_identities(
    persons: Sequence[Person],
    sets: Sequence[str],
    parts: Sequence[tuple[str, str]] | None,
    roles: Roles,
    params: SplitParams,
    stratum_of: Mapping[str, str] | None,
) -> dict[str, tuple[str, int, str]]:
    """Split, fold and reason of each identity; ``parts`` are the official ones where these decide."""
    units = Units.of(persons, sets, roles, params.salt)
    strata = None if stratum_of is None else np.array([stratum_of[name] for name in units.names], dtype=object)
    if parts is None:
        split, reason = by_hash(units, params, strata)
    else:
        split, reason = by_part(units, persons, parts, params, strata)

    fold = np.full(len(units.names), NO_FOLD, dtype=np.int64)
    is_held_out = split == "test"
    if is_held_out.any():
        names = [name for name, chosen in zip(units.names, is_held_out, strict=True) if chosen]
        fold[is_held_out] = folds(names, params, None if strata is None else strata[is_held_out])
    decided = zip(split.tolist(), fold.tolist(), reason.tolist(), strict=True)
    return dict(zip(units.names, decided, strict=True))


def _strata(
    recordings_by_corpus: Mapping[str, pd.DataFrame], persons: Sequence[Person], roles: Roles, column: str
) -> dict[str, str]:
    """By identity, its corpora and all values that its recordings have in the column.

    Raises:
        SplitError: No corpus has the column, or it holds no classes.
    """
    having = {corpus: table for corpus, table in recordings_by_corpus.items() if column in table}
    if not having:
        known = sorted({str(name) for table in recordings_by_corpus.values() for name in table})
        raise SplitError(f"split.stratify_by: no corpus has a column {column!r}; there are {', '.join(known)}")
    for corpus, table in having.items():
        kind = pd.api.types.infer_dtype(table[column], skipna=True)
        if kind not in ("string", "boolean", "integer", "categorical", "empty"):
            raise SplitError(
                f"split.stratify_by: column {column!r} of corpus {corpus} holds values of kind {kind}, no classes; "
                "choose a column of a few texts"
            )
    values: dict[str, set[str]] = {}
    for table in having.values():
        for person, value in zip(table["person"].tolist(), texts(table, column), strict=True):
            values.setdefault(person, set()).add(value)
    if not any(own - {""} for own in values.values()):
        raise SplitError(f"split.stratify_by: column {column!r} is empty in all recordings; choose one that has values")
    found: dict[str, tuple[set[str], set[str]]] = {}
    for p in persons:
        corpora, own = found.setdefault(p.identity, (set(), set()))
        corpora |= {p.corpus} & {*roles.pretrain, *roles.probe}
        own |= values.get(p.person, set()) - {""}
    return {name: f"{'+'.join(sorted(corpora))}\t{'+'.join(sorted(own))}" for name, (corpora, own) in found.items()}


def _refuse_several(what: str, value: str, pairs: Iterable[tuple[Any, Any]]) -> None:
    """Refuse names with more than one value."""
    values: dict[Any, Any] = {}
    twice = sorted({str(thing) for thing, own in pairs if values.setdefault(thing, own) != own})
    if twice:
        raise SplitError(
            f"the splits table has {len(twice)} {what} with more than one {value}: {some(twice)}; split again"
        )


def _ways(missing: Sequence[str], params: SplitParams) -> str:
    """Parameters that fill empty splits."""
    ratios = {name: getattr(params, f"{name}_ratio") for name in missing if name != "train"}
    raised = [f"raise split.{name}_ratio ({ratio:g})" for name, ratio in ratios.items()]
    return " or ".join([*raised, f"choose another split.salt ({params.salt!r})"])


def _refuse_empty(splits: pd.DataFrame, roles: Roles, params: SplitParams) -> None:
    is_trained = bool(roles.pretrain) or params.protocol == "official"
    needed = {"train"} if is_trained else set()
    if is_trained and params.validation_ratio > 0:
        needed.add("validation")
    if roles.probe:
        needed.add("test")
    missing = sorted(needed - set(splits["split"]))
    if missing:
        raise SplitError(
            f"no person in split {', '.join(missing)} (persons: {count_by_split(splits)}). A hash gives each person a "
            f"split, so that few persons may leave one empty: {_ways(missing, params)}, or add persons"
        )
