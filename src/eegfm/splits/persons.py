"""Identify persons across corpora: connected components of subject ids, declared links and equal signals."""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from eegfm.errors import SplitError
from eegfm.recording import normalized_subject
from eegfm.splits.config import TUH_FAMILIES, SplitParams
from eegfm.splits.shared_signals import (
    MAX_PERSONS,
    ChannelHashes,
    SharedSignals,
    channel_hashes,
    find_shared,
    short_hashes,
)

logger = logging.getLogger(__name__)

Ints = NDArray[np.int64]

TUEG, TUEV_EVALUATION, NDA = "TUEG", "TUEV-eval", "NDA"
"""Namespaces of subject ids that several corpora share. No corpus has such a name, because names of corpora are lower
case."""
_TUEG_ID = re.compile(r"[a-z]{8}|[0-9]{8}")
_NDA_ID = re.compile(r"ndar[a-z0-9]{8}")
_N_NAMED = 10


class Person(NamedTuple):
    """A person of one corpus with its identity over all corpora.

    Args:
        person: Name in the tables of the corpus.
        corpus: Name of the corpus.
        key: The normalized subject id in its namespace, see ``namespace_of``.
        identity: The smallest of all keys of this human being.
        keys: Sorted, all keys of the identity, also of linked corpora in which it has no recording.
        recordings: Sorted ids of the person's recordings.
        signals: The short hash of each of these recordings.
        joined: The equal signals that join several names to this identity; "" if there are none.
    """

    person: str
    corpus: str
    key: str
    identity: str
    keys: list[str]
    recordings: list[str]
    signals: list[str]
    joined: str


def identify(recordings_by_corpus: Mapping[str, pd.DataFrame], params: SplitParams) -> list[Person]:
    """Find the persons of all corpora that are one human being.

    Three things join two persons: the same normalized subject id in the same namespace, a declared link, and a channel
    with identical decoded samples.

    Args:
        recordings_by_corpus: The recordings table of each corpus, none empty.
        params: Declared links.

    Returns:
        The persons of every corpus, ordered by name, whatever the order of the recordings.

    Raises:
        SplitError: A recording is listed twice or has no subject, or a text is no hash.
    """
    recordings = _recordings(recordings_by_corpus)
    names = PersonNames(recordings_by_corpus, params.linked_corpora)
    persons = sorted({(r.person, r.corpus) for r in recordings})
    keys = [names.keys(corpus, subject_of(person)) for person, corpus in persons]
    component_of = _components([*keys, *_declared(params, names, {own for own, *_ in keys})])
    by_id: Ints = np.array([component_of[own] for own, *_ in keys], dtype=np.int64)

    place = {person: k for k, person in enumerate(persons)}
    number: Ints = np.array([place[r.person, r.corpus] for r in recordings], dtype=np.int64)
    ids = [r.recording_id for r in recordings]
    hashes = channel_hashes(ids, [r.hashes for r in recordings])
    shared = find_shared(hashes, by_id[number])
    _log_hashes(hashes, shared, ids)
    label_of = _merged(by_id[number[shared.links]], max(component_of.values()) + 1)
    labels = label_of[by_id].tolist()

    identity_of = {label: own for label, (own, *_) in sorted(zip(labels, keys, strict=True), reverse=True)}
    all_keys = sorted(component_of)
    keys_of = _lists([int(label_of[component_of[key]]) for key in all_keys], all_keys)
    joined = _joined(shared, recordings, label_of[by_id][number])
    own_recordings = _lists(number.tolist(), ids)
    own_signals = _lists(number.tolist(), short_hashes(hashes, shared.degenerate, len(ids)))
    return [
        Person(*names_of, own, identity_of[n], keys_of[n], own_recordings[k], own_signals[k], joined.get(n, ""))
        for k, (names_of, (own, *_), n) in enumerate(zip(persons, keys, labels, strict=True))
    ]


def subject_of(person: str) -> str:
    """Subject id of a person ``corpus:subject``."""
    return person.partition(":")[2]


def namespace_of(corpus: str, subject: str, *, is_tuh: bool, is_simulated: bool) -> str:
    """Namespace within which a subject id means one person.

    The TUH corpora share the ids of TUEG. TUEV's evaluation set is an exception: its folders have numbers that identify
    nobody. NDA (HBN) gives each person one id for all studies. All other ids, and those of simulated persons, mean a
    person within their own corpus only.
    """
    if is_simulated:
        return corpus
    if _NDA_ID.fullmatch(subject):
        return NDA
    if is_tuh:
        return TUEG if _TUEG_ID.fullmatch(subject) else TUEV_EVALUATION
    return corpus


def some(names: Iterable[str], n: int = _N_NAMED) -> str:
    """The first names, and the number of the others."""
    names = list(names)
    return ", ".join(names[:n]) + (f" and {len(names) - n} more" if len(names) > n else "")


def texts(table: pd.DataFrame, column: str) -> list[str]:
    """A column of texts, "" where it or a value is missing."""
    if column not in table:
        return [""] * len(table)
    values = table[column].tolist()
    return [value if isinstance(value, str) else "" if pd.isna(value) else str(value) for value in values]


class PersonNames:
    """Keys of persons: their normalized subject ids, each in its namespace.

    Args:
        recordings_by_corpus: The recordings table of each corpus, for its layout.
        linked: Groups of corpora that share their subject ids.
    """

    def __init__(self, recordings_by_corpus: Mapping[str, pd.DataFrame], linked: Sequence[Sequence[str]]) -> None:
        tables = recordings_by_corpus.items()
        self._tuh = {corpus for corpus, table in tables if set(texts(table, "family")) - {""}}
        # An absent corpus, or one with another layout, is recognised by its name alone.
        self._tuh |= TUH_FAMILIES
        self._simulated = {corpus for corpus, table in tables if "simulated" in table and table["simulated"].any()}
        self._linked = _merged_groups(linked)

    def is_simulated(self, corpus: str) -> bool:
        """True if the corpus has simulated recordings."""
        return corpus in self._simulated

    def key(self, corpus: str, subject: str) -> str:
        """Normalized subject id in its namespace, e.g. ``TUEG:aaaaaaab``."""
        subject = normalized_subject(subject)
        is_tuh, is_simulated = corpus in self._tuh, corpus in self._simulated
        return f"{namespace_of(corpus, subject, is_tuh=is_tuh, is_simulated=is_simulated)}:{subject}"

    def keys(self, corpus: str, subject: str) -> list[str]:
        """The person's own key first, then its keys in linked corpora, even if it has no recording in these."""
        others = {other for group in self._linked if corpus in group for other in group if other != corpus}
        return [self.key(corpus, subject), *(self.key(other, subject) for other in sorted(others))]


def _merged_groups(groups: Sequence[Sequence[str]]) -> list[set[str]]:
    """Unite groups that share a member."""
    merged: list[set[str]] = []
    for group in groups:
        joined = set(group).union(*(other for other in merged if other.intersection(group)))
        merged = [other for other in merged if not other.intersection(group)] + [joined]
    return merged


class _Recording(NamedTuple):
    recording_id: str
    person: str
    corpus: str
    hashes: Any


def _recordings(recordings_by_corpus: Mapping[str, pd.DataFrame]) -> list[_Recording]:
    """The recordings of all corpora, in the order of their ids."""
    recordings = []
    for corpus, table in recordings_by_corpus.items():
        hashes = table["signal_hashes"].tolist() if "signal_hashes" in table else [None] * len(table)
        rows = zip(table["recording_id"].tolist(), table["person"].tolist(), hashes, strict=True)
        recordings += [_Recording(name, person, corpus, own) for name, person, own in rows]
    recordings.sort(key=lambda r: r.recording_id)
    twice = [r.recording_id for r, after in pairwise(recordings) if r.recording_id == after.recording_id]
    if twice:
        raise SplitError(
            f"{len(twice)} recordings are listed more than once in the tables: {some(twice)}; ingest again"
        )
    is_named = {person: bool(normalized_subject(subject_of(person))) for person in {r.person for r in recordings}}
    nameless = [r.recording_id for r in recordings if not is_named[r.person]]
    if nameless:
        raise SplitError(
            f"{len(nameless)} recordings have no subject: {some(nameless)}; splits are by person, correct the corpus's "
            "layout or names"
        )
    return recordings


def _declared(params: SplitParams, names: PersonNames, known: set[str]) -> list[list[str]]:
    """Keys of the groups of ``same_persons``. Absent persons are logged, since their names may be misspelt."""
    groups = [[names.key(p.partition(":")[0], subject_of(p)) for p in group] for group in params.same_persons]
    spelled = zip(params.same_persons, groups, strict=True)
    unknown = [name for own, keys in spelled for name, key in zip(own, keys, strict=True) if key not in known]
    if unknown:
        logger.warning("split.same_persons: no recording of %s", some(unknown))
    return groups


def _components(groups: Iterable[Sequence[str]]) -> dict[str, int]:
    """Number of the connected component of each name. The names of a group are connected."""
    groups = list(groups)
    codes, names = pd.factorize(np.array([name for group in groups for name in group], dtype=object))
    group_of = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    neighbours = np.stack([codes[:-1], codes[1:]], axis=1)[group_of[1:] == group_of[:-1]]
    return dict(zip(names.tolist(), _merged(neighbours, len(names)).tolist(), strict=True))


def _merged(pairs: NDArray[np.integer], n: int) -> Ints:
    """(n,) number of the connected component of each node, from (E, 2) edges."""
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    labels: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return labels


def _lists(numbers: Iterable[int], values: Iterable[str]) -> dict[int, list[str]]:
    """Lists of values by number, in the order of the values."""
    out: dict[int, list[str]] = {}
    for number, value in zip(numbers, values, strict=True):
        out.setdefault(number, []).append(value)
    return out


def _joined(shared: SharedSignals, recordings: Sequence[_Recording], labels: Ints) -> dict[int, str]:
    """Recordings whose equal signals joined several persons, by component. They are logged."""
    links = [(recordings[one], recordings[other]) for one, other in shared.links.tolist()]
    equal = [f"{one.recording_id} = {other.recording_id}" for one, other in links]
    who = [f"{one.person} is {other.person} ({why})" for (one, other), why in zip(links, equal, strict=True)]
    if who:
        logger.warning("Identical signals under several names, each counted as one person: %s", some(who))
    found = _lists(labels[shared.links[:, 0]].tolist(), equal)
    return {label: some(pairs, 3) for label, pairs in found.items()}


def _log_hashes(hashes: ChannelHashes, shared: SharedSignals, recording_ids: Sequence[str]) -> None:
    n_without = len(recording_ids) - len(np.unique(hashes.recordings))
    if n_without:
        logger.info(
            "%d of %d recordings have no hash of a channel: no copy of them is found", n_without, len(recording_ids)
        )
    if len(shared.degenerate):
        artefacts = np.unique(hashes.recordings[np.isin(hashes.values, shared.degenerate)]).tolist()
        logger.warning(
            "%d channels are the same in recordings of more than %d persons, which makes them artefacts; they join "
            "nobody: %s",
            len(shared.degenerate),
            MAX_PERSONS,
            some(recording_ids[k] for k in artefacts),
        )
