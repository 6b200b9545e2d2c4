"""Ancestry of weights: the checkpoints they started from, and all persons they were trained on. No torch here."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Self, TypedDict

from pydantic import model_validator

from eegfm.config import StrictModel


class ImportedWeights(StrictModel):
    """Origin of imported weights.

    Attributes:
        source: Code that defines the names and shapes in the file: repository, file, commit.
        file_sha256: SHA-256 of the file.
        note: Note of the person who imported the file.
    """

    source: str
    file_sha256: str
    note: str = ""


class Parent(StrictModel):
    """A checkpoint that weights started from, or the tokenizer whose codes they learned to predict.

    Attributes:
        phase: Phase of its run; ``imported`` for weights that were trained elsewhere.
        fingerprint: Fingerprint of its run.
        corpora: Training corpora of this checkpoint and of its ancestors.
        imported: Origin of weights that were trained elsewhere. Their persons are unknown.
        parents: The checkpoints that it started from.
    """

    phase: str
    fingerprint: str
    corpora: list[str]
    imported: ImportedWeights | None
    parents: tuple["Parent", ...]

    def imports(self) -> Iterator["Parent"]:
        """This checkpoint and its ancestors, as far as they were trained elsewhere."""
        if self.imported is not None:
            yield self
        for parent in self.parents:
            yield from parent.imports()


class Ancestry(StrictModel):
    """Part of a checkpoint's header: the checkpoints that weights started from, and the persons they were trained on.

    ``persons`` lists the ``n_persons`` that the weights were trained or validated on, each with all names
    (``namespace:subject``, see ``eegfm.splits.persons``). ``signals`` has a short hash of each of their recordings. A
    probe refuses both. ``kept_out`` lists the persons that were left out of training, by reason.

    ``parents`` are the checkpoints that the weights started from, and the tokenizer whose codes they learned to
    predict; it is empty for weights from a seed that learned of no other. The fields about persons (``corpora`` to
    ``kept_out``) include those of the parents, see ``inherited``.

    Weights that were ``imported`` were trained elsewhere. ``corpora`` are then the declared corpora. The fields about
    persons are None, which means unknown, not empty. A checkpoint that was trained here from imported weights is not
    ``imported`` itself. It lists the known persons, and its ``n_persons`` is None, because there are unknown ones.
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
        """Description of this checkpoint in the header of a checkpoint that starts from it."""
        return Parent.model_validate({name: getattr(self, name) for name in Parent.model_fields})

    def imports(self) -> Iterator[Parent]:
        """This checkpoint and its ancestors, as far as they were trained elsewhere on unknown persons."""
        return self.as_parent().imports()


class TrainedOn(TypedDict):
    """The fields of a header about the persons that weights were trained on."""

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
    """Unite the persons and corpora of a training with those of the checkpoints that it started from.

    Args:
        parents: Headers of the checkpoints that the weights started from; empty for weights from a seed.
        corpora: Corpora of this training. All further arguments describe this training too.
        simulated_corpora: The simulated corpora among them.
        persons: All names of each person.
        signals: Short hashes of the recordings.
        kept_out: Names of persons that were left out, by reason.

    Returns:
        The union of each field. Two entries that share a name are one person. A person who was kept out of one training
        and seen by another counts as seen. ``n_persons`` is None if an ancestor was imported.
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
    """One list of names per person, sorted. Entries that share a name are one person."""
    person_of: dict[str, frozenset[str]] = {}
    for names in persons:
        person = frozenset(names).union(*(person_of[name] for name in names if name in person_of))
        person_of.update(dict.fromkeys(person, person))
    return sorted(sorted(person) for person in set(person_of.values()))
