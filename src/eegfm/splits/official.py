"""Official parts of the corpora that are evaluated: who is tested, who is validated on, whoever else is trained on."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.errors import SplitError
from eegfm.splits.config import Roles, SplitParams
from eegfm.splits.persons import Person, some
from eegfm.splits.test_sets import REGISTERED, parts_of

logger = logging.getLogger(__name__)

TEST, VALIDATION, TRAIN = "test", "validation", "train"
PUBLISHED_VALIDATION: Mapping[str, tuple[str, ...]] = {"tusz": ("dev",)}
"""Values of ``official_split`` that are made to choose a model by. Their persons are validated on instead of persons
that a hash draws from the training part."""


def official_parts(
    recordings_by_corpus: Mapping[str, pd.DataFrame], persons: Sequence[Person], roles: Roles, params: SplitParams
) -> list[tuple[str, str]]:
    """Find the official part of each person of the corpora of ``corpora.probe``.

    Args:
        recordings_by_corpus: The recordings table of each corpus, none empty.
        persons: All persons of these corpora.
        roles: Role of each corpus.
        params: ``test_sets`` replaces the registered test parts.

    Returns:
        For each person ``test``, ``validation`` or ``train`` with the part in words, or two empty texts for persons of
        other corpora. A person with recordings in several parts is tested, or else validated on.

    Raises:
        SplitError: A corpus has no official split, or lacks its test part or all others.
    """
    found: dict[str, tuple[str, str]] = {}
    for corpus in roles.probe:
        parts = parts_of(corpus, recordings_by_corpus[corpus], params)
        own, n_several = _part_of_each(parts)
        _refuse_without_parts(corpus, own, parts, params)
        found |= own
        counts = ", ".join(f"{part} {sum(k == part for k, _ in own.values())}" for part in (TRAIN, VALIDATION, TEST))
        logger.info("Official split of %s, persons: %s", corpus, counts)
        if n_several:
            logger.warning(
                "%s: %d persons have recordings in several official parts; all their recordings are tested on, or "
                "validated on where no part is the test part",
                corpus,
                n_several,
            )
    return [found.get(person.person, ("", "")) for person in persons]


def decide_officially(
    is_trained: NDArray[np.bool_], sets: NDArray[np.object_], parts: Sequence[Sequence[tuple[str, str]]]
) -> tuple[NDArray[np.object_], NDArray[np.object_], NDArray[np.bool_]]:
    """Decide the split of each identity by its official parts.

    Args:
        is_trained: (P,) whether one of its corpora is pretrained on.
        sets: (P,) test set of any corpus that it is in; "" for none.
        parts: (P,) official parts of its persons.

    Returns:
        (P,) splits and reasons, and (P,) whether a hash may still move the identity from training to validation. An
        identity in a test set of another corpus is excluded: it is no part of this corpus's test.
    """
    split = np.full(len(sets), "excluded", dtype=object)
    reason = np.full(len(sets), "the corpus has no role", dtype=object)
    is_open = np.zeros(len(sets), dtype=bool)
    for k, own in enumerate(parts):
        by_part = dict(sorted(own, reverse=True))
        is_validated_in_its_corpus = VALIDATION in by_part and sets[k] == f"official test set {by_part[VALIDATION]}"
        if TEST in by_part:
            split[k], reason[k] = TEST, f"official test set {by_part[TEST]}"
        elif sets[k] and not is_validated_in_its_corpus:
            reason[k] = sets[k]
        elif VALIDATION in by_part:
            split[k], reason[k] = VALIDATION, f"official validation part {by_part[VALIDATION]}"
        elif TRAIN in by_part or is_trained[k]:
            split[k] = TRAIN
            reason[k] = f"official training part {by_part[TRAIN]}" if TRAIN in by_part else "pretrained on"
            is_open[k] = True
    return split, reason, is_open


def has_published_validation(parts: Sequence[tuple[str, str]], persons: Sequence[Person]) -> set[str]:
    """Corpora with a validation part of their own, from whose training part no hash draws."""
    return {person.corpus for person, (part, _) in zip(persons, parts, strict=True) if part == VALIDATION}


def _part_of_each(parts: Sequence[tuple[str, str, str, bool]]) -> tuple[dict[str, tuple[str, str]], int]:
    """The part of each person, and how many persons have several."""
    of_person: dict[str, dict[str, str]] = {}
    for person, layout, value, is_test in parts:
        kind = TEST if is_test else TRAIN
        if value.strip().casefold() in PUBLISHED_VALIDATION.get(layout, ()):
            kind = VALIDATION
        of_person.setdefault(person, {})[kind] = f"{layout} {value}".strip()
    chosen = {
        person: next((kind, own[kind]) for kind in (TEST, VALIDATION, TRAIN) if kind in own)
        for person, own in of_person.items()
    }
    return chosen, sum(len(own) > 1 for own in of_person.values())


def _refuse_without_parts(
    corpus: str,
    own: Mapping[str, tuple[str, str]],
    parts: Sequence[tuple[str, str, str, bool]],
    params: SplitParams,
) -> None:
    kinds = {kind for kind, _ in own.values()}
    if {TRAIN, TEST} <= kinds:
        return
    values = sorted({value for _, _, value, _ in parts} - {""})
    layouts = sorted({layout for _, layout, _, _ in parts})
    known = {**REGISTERED, **params.test_sets}
    wanted = sorted({value for layout in (*layouts, corpus) for value in known.get(layout, ())})
    there = f"its recordings have {some(values)}" if values else "its recordings have no official split"
    if not wanted:
        raise SplitError(
            f"split.protocol official: corpus {corpus} has no registered test part ({there}); set split.protocol="
            f"persons, or name its test part in split.test_sets={{{corpus}: [...]}}"
        )
    missing = f"no person of its test part ({some(wanted)})" if TEST not in kinds else "no person of its training part"
    raise SplitError(
        f"split.protocol official: corpus {corpus} has {missing}; {there} ({len(own)} persons); add these recordings, "
        "or set split.protocol=persons"
    )
