"""Split and reason of every identity: by hash, or by the official parts of the corpora.

Shapes: P identities.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eegfm.splits.config import Roles, SplitParams
from eegfm.splits.draws import Flags, drawn, share
from eegfm.splits.official import decide_officially, has_published_validation
from eegfm.splits.persons import Person

Decided = tuple[NDArray[np.object_], NDArray[np.object_]]


class Units(NamedTuple):
    """By identity: roles of its corpora, a corpus that is only probed, test set, and the lowest hash of its names."""

    names: list[str]
    is_trained: Flags
    is_probed: Flags
    only_probed: NDArray[np.object_]
    sets: NDArray[np.object_]
    validation: NDArray[np.float64]
    test: NDArray[np.float64]

    @classmethod
    def of(cls, persons: Sequence[Person], sets: Sequence[str], roles: Roles, salt: str) -> "Units":
        """Gather what is known of each identity, in the order of their names."""
        names = sorted({p.identity for p in persons})
        n, place = len(names), {name: k for k, name in enumerate(names)}
        none, flags = np.full(n, "", object), np.zeros(n, bool)
        units = cls(names, flags.copy(), flags.copy(), none.copy(), none.copy(), np.ones(n), np.ones(n))
        keys = [p.key for p in persons]
        # Both texts are hashed. "evaluation" is now split "test"; another text here would move persons between splits.
        drawn_by_name = zip(share(keys, salt, "validation"), share(keys, salt, "evaluation"), strict=True)
        for person, found, (validation, test) in zip(persons, sets, drawn_by_name, strict=True):
            k = place[person.identity]
            units.sets[k] = max(units.sets[k], found)
            if person.corpus in roles.pretrain:
                units.is_trained[k] = True
            if person.corpus in roles.corpora:
                units.validation[k] = min(units.validation[k], validation)
            if person.corpus in roles.probe:
                units.is_probed[k], units.test[k] = True, min(units.test[k], test)
                if person.corpus not in roles.pretrain:
                    units.only_probed[k] = units.only_probed[k] or person.corpus
        return units


def by_hash(units: "Units", params: SplitParams, strata: NDArray[np.object_] | None) -> Decided:
    """(P,) splits and reasons where hashes decide who is tested."""
    is_trained, is_probed, is_in_set = units.is_trained, units.is_probed, units.sets != ""
    is_only_probed = (units.only_probed != "") & ~is_in_set
    is_drawn = _draw(units.test, params.test_ratio, strata, is_probed & ~is_in_set & ~is_only_probed)
    is_test = is_only_probed | is_drawn
    is_open = is_trained & ~is_in_set & ~is_test
    is_validated = _draw(units.validation, params.validation_ratio, strata, is_open)

    split = np.full(len(units.names), "excluded", dtype=object)
    reason = np.full(len(units.names), "the corpus has no role", dtype=object)
    split[is_open], reason[is_open] = "train", f"stable hash, validation_ratio {params.validation_ratio:g}"
    split[is_validated] = "validation"
    split[is_test], reason[is_drawn] = "test", f"stable hash, test_ratio {params.test_ratio:g}"
    reason[is_only_probed] = [f"corpus {name} is only probed" for name in units.only_probed[is_only_probed]]
    split[is_in_set & is_probed] = "test"
    reason[is_in_set] = units.sets[is_in_set]
    return split, reason


def by_part(
    units: "Units",
    persons: Sequence[Person],
    parts: Sequence[tuple[str, str]],
    params: SplitParams,
    strata: NDArray[np.object_] | None,
) -> Decided:
    """(P,) splits and reasons where official parts decide; a hash draws validation from training parts."""
    place = {name: k for k, name in enumerate(units.names)}
    own: list[list[tuple[str, str]]] = [[] for _ in units.names]
    is_undrawn = np.zeros(len(units.names), dtype=bool)
    with_validation = has_published_validation(parts, persons)
    for person, part in zip(persons, parts, strict=True):
        own[place[person.identity]] += [part] if part[0] else []
        is_undrawn[place[person.identity]] |= person.corpus in with_validation
    split, reason, is_open = decide_officially(units.is_trained, units.sets, own)
    is_open &= ~is_undrawn
    is_validated = _draw(units.validation, params.validation_ratio, strata, is_open)
    split[is_validated] = "validation"
    reason[is_open] = [f"{why}; stable hash, validation_ratio {params.validation_ratio:g}" for why in reason[is_open]]
    return split, reason


def _draw(shares: NDArray[np.float64], ratio: float, strata: NDArray[np.object_] | None, is_open: Flags) -> Flags:
    """(P,) True for persons that are drawn from the open ones."""
    out = np.zeros(len(shares), dtype=bool)
    out[is_open] = drawn(shares[is_open], ratio, None if strata is None else strata[is_open])
    return out
