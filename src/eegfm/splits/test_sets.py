"""Official test sets. No person in one of them is trained on."""

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from eegfm.errors import SplitError
from eegfm.named import refuse_unmatched
from eegfm.splits.config import TUH_FAMILIES, SplitParams
from eegfm.splits.persons import NDA, Person, PersonNames, some, subject_of, texts

logger = logging.getLogger(__name__)

HBN = "hbn"
_RELEASE = re.compile(r"\s*(?:release[ _]?|r)?(\d+)(?![a-z\d])", re.IGNORECASE)
REGISTERED: Mapping[str, tuple[str, ...]] = {
    "tuab": ("eval",),
    "tuev": ("eval",),
    "tusz": ("dev", "eval"),
    HBN: ("R5",),
}
"""Values of ``official_split`` that are test sets, by TUH family, and for HBN-EEG the release that the EEG Foundation
Challenge tests on.

``dev`` of TUSZ is one of these sets. Published seizure detectors are tuned on ``dev`` and also compared on it. A model
that has seen its persons could not be compared with them.
"""


def find_test_sets(
    recordings_by_corpus: Mapping[str, pd.DataFrame], persons: Sequence[Person], params: SplitParams
) -> list[str]:
    """Find the test set of each person.

    Args:
        recordings_by_corpus: The recordings table of each corpus, none empty.
        persons: All persons of these corpora.
        params: ``test_sets`` replaces entries of ``REGISTERED``, ``held_out`` names further persons.

    Returns:
        For each person, e.g. ``official test set tuab eval``; "" for a person in no set. A person is in a set if one
        recording is.

    Raises:
        SplitError: The parameters name a set or a corpus that is not known.
    """
    registry = _registry(recordings_by_corpus, params)
    _refuse_unmatched_sets(recordings_by_corpus, params)
    names = PersonNames(recordings_by_corpus, params.linked_corpora)
    members: dict[str, str] = {}
    for corpus, table in sorted(recordings_by_corpus.items()):
        members |= _members(corpus, table, names, registry)
    counts = ", ".join(f"{name} {n}" for name, n in sorted(Counter(members.values()).items()))
    logger.info("Persons of official test sets, never trained on: %s", counts or "none")
    held_out = {names.key(corpus, subject) for corpus, of in params.held_out.items() for subject in of}
    if held_out:
        n_here = len(held_out.intersection(key for person in persons for key in person.keys))
        logger.info("split.held_out: %d of the %d persons it names have recordings here", n_here, len(held_out))
    return [
        members.get(person.person) or ("" if held_out.isdisjoint(person.keys) else "split.held_out")
        for person in persons
    ]


def parts_of(corpus: str, table: pd.DataFrame, params: SplitParams) -> list[tuple[str, str, str, bool]]:
    """List the official parts of a corpus.

    Returns:
        Person, layout (a TUH family, ``hbn`` or the corpus's name), official split and whether it is a test set, each
        combination once.
    """
    registry, names = _spelled_sets(params), PersonNames({corpus: table}, ())
    rows = set(zip(table["person"].tolist(), texts(table, "family"), texts(table, "official_split"), strict=True))
    found = []
    for person, family, value in sorted(rows):
        layout = _layout_of(names, corpus, person, family)
        is_test = _spelled(value) in registry.get(layout, set()) | registry.get(corpus, set())
        found.append((person, layout or corpus, value, is_test))
    return found


def log_unknown(recordings_by_corpus: Mapping[str, pd.DataFrame], trained: list[str], params: SplitParams) -> None:
    """Log the test sets of TUH whose persons cannot be known from the recordings at hand."""
    names = PersonNames(recordings_by_corpus, ())
    tables = {corpus: table for corpus, table in recordings_by_corpus.items() if not names.is_simulated(corpus)}
    if not any(set(texts(tables[corpus], "family")) - {""} for corpus in trained if corpus in tables):
        return
    registry = _spelled_sets(params)
    # A folder with the training part alone does not tell which persons are in the test set.
    at_hand = {
        family
        for table in tables.values()
        for family, value in zip(texts(table, "family"), texts(table, "official_split"), strict=True)
        if _spelled(value) in registry.get(family, ())
    }
    absent = sorted(family for family in TUH_FAMILIES - at_hand if registry.get(family))
    if absent:
        logger.warning(
            "Training on TUH without %s: who is in their test sets cannot be known here; name their subjects in "
            "split.held_out",
            ", ".join(absent),
        )


def _registry(recordings_by_corpus: Mapping[str, pd.DataFrame], params: SplitParams) -> dict[str, set[str]]:
    known = {*TUH_FAMILIES, HBN, *recordings_by_corpus}
    for key, named in (("test_sets", params.test_sets), ("held_out", params.held_out)):
        unknown = sorted(set(named) - known)
        if unknown:
            raise SplitError(f"split.{key}: {unknown[0]!r} is no corpus or layout; known: {', '.join(sorted(known))}")
    for layout in sorted(set(REGISTERED) & set(params.test_sets)):
        dropped = sorted(set(REGISTERED[layout]) - set(params.test_sets[layout]))
        if dropped:
            logger.warning("split.test_sets: persons of %s %s may be trained on", layout, ", ".join(dropped))
    return _spelled_sets(params)


def _refuse_unmatched_sets(recordings_by_corpus: Mapping[str, pd.DataFrame], params: SplitParams) -> None:
    """Refuse a configured set that no recording of its corpus is in: its persons would be trained on.

    Registered sets may be absent, and so may whole corpora. A partial download of a corpus is no mistake.

    Raises:
        ConfigError: Lists the official splits that exist.
    """
    for layout, sets in sorted(params.test_sets.items()):
        own = [value for value in sets if value not in REGISTERED.get(layout, ())]
        found = [value for corpus, table in recordings_by_corpus.items() for value in _splits_of(layout, corpus, table)]
        spelled = {_spelled(value) for value in found}
        unmatched = [value for value in own if _spelled(value) not in spelled]
        if unmatched and found:
            what = "recordings (column 'official_split')"
            refuse_unmatched(f"split.test_sets.{layout}", unmatched, pd.Series(found, dtype="str"), what)


def _splits_of(layout: str, corpus: str, table: pd.DataFrame) -> list[str]:
    """Official splits of the recordings of a corpus that belong to this layout."""
    names = PersonNames({corpus: table}, ())
    rows = zip(table["person"], texts(table, "family"), texts(table, "official_split"), strict=True)
    return [value for person, family, value in rows if layout in (corpus, _layout_of(names, corpus, person, family))]


def _layout_of(names: PersonNames, corpus: str, person: str, family: str) -> str:
    """``hbn`` for a person with an NDA id, else the TUH family of the recording."""
    return HBN if names.key(corpus, subject_of(person)).startswith(f"{NDA}:") else family


def _spelled_sets(params: SplitParams) -> dict[str, set[str]]:
    sets = {**REGISTERED, **params.test_sets}
    return {name: {_spelled(value) for value in values} for name, values in sets.items()}


def _members(corpus: str, table: pd.DataFrame, names: PersonNames, registry: Mapping[str, set[str]]) -> dict[str, str]:
    """The test set of each person of one corpus who has a recording in one."""
    rows = set(zip(table["person"].tolist(), texts(table, "family"), texts(table, "official_split"), strict=True))
    members, unknown = {}, []
    for person, family, value in sorted(rows, reverse=True):
        layout = _layout_of(names, corpus, person, family)
        if _spelled(value) in registry.get(layout, set()) | registry.get(corpus, set()):
            members[person] = f"official test set {layout or corpus} {value}"
        elif layout == HBN and not _RELEASE.match(value) and registry[HBN]:
            unknown.append(person)
    if unknown:
        raise SplitError(
            f"{corpus}: {len(unknown)} persons of HBN have no valid release "
            f"({some(sorted(unknown), 3)}), so it is unknown whether they are in a test set; "
            "add participants.tsv with release_number, or set "
            "split.test_sets={hbn: []} if none of them is to be kept out"
        )
    return members


def _spelled(value: str) -> str:
    """One spelling; releases of HBN are written R5, 5, R05 and R5_L100."""
    release = _RELEASE.match(value)
    return f"r{int(release[1])}" if release else value.strip().casefold()
