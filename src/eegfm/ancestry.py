"""Weights that start from other weights: who all of them have seen. No torch here."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Self, TypedDict

from pydantic import model_validator

from eegfm.config import StrictModel


class ImportedWeights(StrictModel):
    """Where weights are from that were not trained here.

    Attributes:
        source: Whose names and shapes the file has: repository, file, commit.
        file_sha256: Of the file.
        note: What the person who imported it has to say.
    """

    source: str
    file_sha256: str
    note: str = ""


class Parent(StrictModel):
    """A checkpoint that weights started from.

    Attributes:
        phase: Of the run that left it; ``imported`` for weights from elsewhere.
        fingerprint: Of that run.
        corpora: It, and those before it, were trained on these.
        imported: Where it is from, for weights that were trained elsewhere: their persons are unknown.
        parents: The checkpoints that it started from.
    """

    phase: str
    fingerprint: str
    corpora: list[str]
    imported: ImportedWeights | None
    parents: tuple["Parent", ...]

    def imports(self) -> Iterator["Parent"]:
        """Itself and those before it, as far as they were trained elsewhere."""
        if self.imported is not None:
            yield self
        for parent in self.parents:
            yield from parent.imports()


class Ancestry(StrictModel):
    """What weights started from and who they have seen: a part of a checkpoint's header.

    ``persons`` lists the ``n_persons`` that the weights were trained or validated on, each with all names
    (``namespace:subject``, see ``eegfm.splits.persons``), ``signals`` a short hash of each of their recordings: a
    probe refuses both. ``kept_out`` lists by reason who was there and left out of training.

    ``parents`` are the checkpoints that the weights started from; there are none where they started from a seed. All
    that says who was seen (``corpora`` to ``kept_out``) then holds for the parents too, see ``inherited``.

    Weights that were ``imported`` were not trained here: ``corpora`` are those that are declared for them, and who was
    seen is None, which means unknown and never nobody. A checkpoint that was trained here from imported weights is
    not ``imported`` itself: it lists the persons that are known, and ``n_persons`` is None, because there are others.
    """

    phase: str
    fingerprint: str
    corpora: list[str]
    simulated_corpora: list[str]
    imported: ImportedWeights | None
    parents: tuple[Parent, ...]
    n_persons: int | None
    persons: list[list[str]] | None
    signals: list[str] | None
    kept_out: dict[str, list[str]] | None

    @model_validator(mode="after")
    def _only_imports_are_of_unknown_persons(self) -> Self:
        is_unknown = {value is None for value in (self.persons, self.signals, self.kept_out)}
        if is_unknown != {self.imported is not None}:
            raise ValueError("persons, signals and kept_out are unknown for imported weights, and for no others")
        n_known = None if any(self.imports()) else len(self.persons or ())
        if self.imported is None and self.n_persons != n_known:
            raise ValueError(f"n_persons is {self.n_persons}; it is {n_known} by persons and parents")
        return self

    def as_parent(self) -> Parent:
        """What a checkpoint that starts from this one says of it."""
        return Parent.model_validate({name: getattr(self, name) for name in Parent.model_fields})

    def imports(self) -> Iterator[Parent]:
        """Itself and those before it, as far as they were trained elsewhere: nobody knows on which persons."""
        return self.as_parent().imports()


class TrainedOn(TypedDict):
    """The fields of a header that say who was seen."""

    parents: tuple[Parent, ...]
    corpora: list[str]
    simulated_corpora: list[str]
    n_persons: int | None
    persons: list[list[str]]
    signals: list[str]
    kept_out: dict[str, list[str]]


def inherited(
    parents: Sequence[Ancestry],
    *,
    corpora: Iterable[str],
    simulated_corpora: Iterable[str],
    persons: Iterable[Sequence[str]],
    signals: Iterable[str],
    kept_out: Mapping[str, Iterable[str]],
) -> TrainedOn:
    """Put together what a training saw itself and what the checkpoints that it started from saw.

    Args:
        parents: Headers of the checkpoints that the weights started from; empty for weights that follow from a seed.
        corpora: Of this training, as all that follow.
        simulated_corpora: Those of them that are simulated.
        persons: All names of each person.
        signals: Short hashes of the recordings.
        kept_out: By reason, names of persons.

    Returns:
        The union of each field. Two that share a name are one person. A person who was kept out of one training and
        seen by another counts as seen. ``n_persons`` is None where a checkpoint before was imported.
    """
    seen = _merged([*persons, *(names for parent in parents for names in parent.persons or ())])
    names_seen = {name for names in seen for name in names}
    out: dict[str, set[str]] = {}
    for by_reason in (kept_out, *(parent.kept_out or {} for parent in parents)):
        for reason, names in by_reason.items():
            out[reason] = out.get(reason, set()) | {*names} - names_seen
    is_all_known = not any(any(parent.imports()) for parent in parents)
    return {
        "parents": tuple(parent.as_parent() for parent in parents),
        "corpora": sorted({*corpora}.union(*(parent.corpora for parent in parents))),
        "simulated_corpora": sorted({*simulated_corpora}.union(*(parent.simulated_corpora for parent in parents))),
        "n_persons": len(seen) if is_all_known else None,
        "persons": seen,
        "signals": sorted({*signals}.union(*(parent.signals or () for parent in parents))),
        "kept_out": {reason: sorted(names) for reason, names in sorted(out.items()) if names},
    }


def _merged(persons: Iterable[Sequence[str]]) -> list[list[str]]:
    """One list of names per person, sorted; those that share a name are one."""
    person_of: dict[str, frozenset[str]] = {}
    for names in persons:
        person = frozenset(names).union(*(person_of[name] for name in names if name in person_of))
        person_of.update(dict.fromkeys(person, person))
    return sorted(sorted(person) for person in set(person_of.values()))
