"""Configurations of pairs of windows: which windows should have similar representations. No torch and no numpy here."""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, TypeAdapter, ValidationError, model_validator

from eegfm.config import Buildable, StrictModel, first_problem
from eegfm.errors import ConfigError

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_KINDS = "eegfm.training.plans.pairs.kinds"


class Pairing(Buildable):
    """Base of the kinds of pairs.

    Attributes:
        cut: The cut whose windows are paired: ``mix.cut`` or one of ``mix.cuts``; None for ``mix.cut``.
    """

    name: str
    cut: str | None = None

    @property
    def n_together(self) -> int:
        """Pairs that a batch holds in whole multiples only."""
        return 1


class MovieMomentPairs(Pairing):
    """Windows of one moment of one movie, seen by two persons.

    No negatives of each other are windows of the same moment, and where windows are longer than their stride those of
    moments that overlap, which show partly the same.
    """

    implementation: ClassVar[str] = f"{_KINDS}:MovieMoments"

    name: Literal["movie_moment"] = "movie_moment"
    cut: str | None = "movies"


class ConditionPairs(Pairing):
    """Windows of one label: eyes open or closed, with or without background, rest or arithmetic.

    Attributes:
        across: ``persons`` pairs windows of two persons; ``any`` pairs all windows of one label, be they of one person
            or of two, unless both are of one stretch of overlapping windows: they could show the same samples.
    """

    implementation: ClassVar[str] = f"{_KINDS}:Conditions"

    name: Literal["condition"] = "condition"
    cut: str | None = "eyes"
    across: Literal["persons", "any"] = "persons"


class TimeNeighbourPairs(Pairing):
    """Windows of one segment that begin shortly after one another; the later one is the positive.

    No negatives of each other are the windows of one recording that begin as near each other.

    Attributes:
        max_gap_s: From the start of one window to the start of the other, at most.
        allow_overlap: Whether the two may share samples.
    """

    implementation: ClassVar[str] = f"{_KINDS}:TimeNeighbours"

    name: Literal["time_neighbours"] = "time_neighbours"
    max_gap_s: Seconds
    allow_overlap: bool = False


class ViewPairs(Pairing):
    """Each window twice, for two views of it that the objective draws: augmentations, complementary masks.

    No negatives of each other are windows of one recording that share samples.
    """

    implementation: ClassVar[str] = f"{_KINDS}:Views"

    name: Literal["views"] = "views"


class WithinRecordingPairs(Pairing):
    """Windows of one recording a few seconds apart, with negatives from the same recording only.

    A batch has so many moments of each of its recordings, each with a pair of windows. All negatives of a window are of
    its own recording, so that it cannot be told from them by the person, the cap or the amplifier. Windows of a
    recording that begin as near each other as a pair may are no negatives of each other.

    Attributes:
        moments: Pairs of each recording in a batch.
        gap_s: From the start of one window to the start of the other, at least and at most. None is from one length of
            the window to one and a half: 2 to 3 s for windows of 2 s.
        allow_overlap: Whether the two may share samples.
        max_spread: Windows are left out whose largest channel, by its standard deviation, exceeds the median of this
            value over the windows of the recording so many times; None for none. The plan reads all samples once.
    """

    implementation: ClassVar[str] = "eegfm.training.plans.pairs.within_recording:WithinRecording"

    name: Literal["within_recording"] = "within_recording"
    moments: int = Field(default=8, ge=2, le=4096)
    gap_s: tuple[Seconds, Seconds] | None = None
    allow_overlap: bool = False
    max_spread: float | None = Field(default=4.0, gt=1, allow_inf_nan=False)

    @model_validator(mode="after")
    def _gap_is_a_range(self) -> "WithinRecordingPairs":
        if self.gap_s is not None and self.gap_s[0] > self.gap_s[1]:
            raise ValueError(f"gap_s is {list(self.gap_s)}; give the least gap and then the largest, such as [2, 3]")
        return self

    @property
    def n_together(self) -> int:
        """The moments of a recording."""
        return self.moments


PairConfig = Annotated[
    MovieMomentPairs | ConditionPairs | TimeNeighbourPairs | ViewPairs | WithinRecordingPairs,
    Field(discriminator="name"),
]
"""Union of the pairings: windows with similar representations."""


def _listed(value: Any) -> Any:
    """One pairing may stand without a list."""
    if isinstance(value, str):
        raise ValueError(f"is {value!r}; give options with a name, such as {{name: {value}}}")
    if isinstance(value, Mapping):
        corpora = [name for name, inner in value.items() if _is_pairing(inner)]
        if corpora:
            raise ValueError(
                f"holds pairing {value['name']} for all corpora beside pairings of {', '.join(corpora)}; to replace "
                f"those of a file, give a list: [{{name: {value['name']}}}]"
            )
    return (value,) if isinstance(value, Mapping | StrictModel) else value


def _is_pairing(value: Any) -> bool:
    first = value[0] if isinstance(value, list | tuple) and value else value
    return isinstance(first, Mapping | StrictModel)


def _is_by_corpus(value: Any) -> str:
    return "by_corpus" if isinstance(value, Mapping) and "name" not in value else "for_all"


Pairings = Annotated[tuple[PairConfig, ...], BeforeValidator(_listed), Field(min_length=1)]
"""Pairings that take turns."""
PairParams = Annotated[
    Annotated[Pairings, Tag("for_all")]
    | Annotated[Annotated[dict[str, Pairings], Field(min_length=1)], Tag("by_corpus")],
    Discriminator(_is_by_corpus),
]
"""One pairing or a list for all corpora, or such by corpus."""

_PAIRING: TypeAdapter[PairConfig] = TypeAdapter(PairConfig)


def pairing_named(name: str) -> PairConfig:
    """The pairing of this name with its defaults.

    Raises:
        ConfigError: There is none, or it needs options that have no default.
    """
    try:
        return _PAIRING.validate_python({"name": name})
    except ValidationError as error:
        raise ConfigError(
            f"pairing {name!r} cannot be chosen by its name alone ({first_problem(error)}); give pairs"
        ) from error


def by_corpus(
    pairs: tuple[PairConfig, ...] | Mapping[str, tuple[PairConfig, ...]], corpora: Iterable[str]
) -> dict[str, tuple[PairConfig, ...]]:
    """Return the pairings of each corpus that is trained on.

    Args:
        pairs: Pairings for all corpora, or by corpus. A corpus that is not trained on may have some, too.
        corpora: Names of those that are trained on.

    Raises:
        ConfigError: A corpus that is trained on has none.
    """
    names = sorted(corpora)
    if not isinstance(pairs, Mapping):
        return dict.fromkeys(names, pairs)
    without = sorted({*names} - {*pairs})
    if without:
        raise ConfigError(
            f"pairs.{without[0]} is missing; the mixture holds corpus {without[0]}: give it a pairing, such as "
            "{name: views}, or take it out of corpora.pretrain"
        )
    return {name: pairs[name] for name in names}


def multiples(pairings: Mapping[str, Iterable[PairConfig]], world_size: int) -> dict[str, int]:
    """By corpus, the number of windows that its micro-batches are multiples of.

    Each process has whole pairs, and a micro-batch whole groups of pairs that belong together.
    """
    return {
        corpus: math.lcm(2 * world_size, *(2 * pairing.n_together for pairing in chosen))
        for corpus, chosen in pairings.items()
    }


def refuse_few_pairs(
    objective: str, least_pairs: int, batch_size: int, counts_of: Callable[[int], Mapping[str, int]]
) -> None:
    """Refuse a batch that holds fewer pairs of a corpus than the loss needs.

    Args:
        objective: Name of the objective.
        least_pairs: Pairs that it needs in each micro-batch.
        batch_size: Windows of a step, which the corpora can share.
        counts_of: Gives the windows of each corpus in a step of so many windows, or a ConfigError.

    Raises:
        ConfigError: A corpus has too few; with the next batch size that works.
    """
    counts = counts_of(batch_size)
    corpus = min(counts, key=lambda name: counts[name])
    if counts[corpus] >= 2 * least_pairs:
        return

    def is_enough(size: int) -> bool:
        try:
            return min(counts_of(size).values()) >= 2 * least_pairs
        except ConfigError:
            return False  # the corpora cannot share it

    enough = next(size for size in itertools.count(batch_size + 1) if is_enough(size))
    raise ConfigError(
        f"batch_size {batch_size} gives corpus {corpus} {counts[corpus]} windows in a step, and objective {objective} "
        f"learns nothing from fewer than {2 * least_pairs} ({least_pairs} pairs); the smallest batch_size that works "
        f"is {enough}"
    )
