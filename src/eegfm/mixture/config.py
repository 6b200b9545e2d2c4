"""Parameters of the mixture."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    PositiveInt,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from eegfm.config import StrictModel, refuse_repeated


def _not_taken(name: str) -> str:
    if name in _ANSWERS:
        raise ValueError(f"{name!r} names the answer of a task; give the column of the recordings another name")
    if name in _LOGS:
        raise ValueError(
            f"{name!r}: logs of its head, such as {name}_loss, would overwrite those of an objective; give the column "
            f"of the recordings another name than {', '.join(_LOGS)}"
        )
    return name


LabelName = Annotated[str, StringConstraints(pattern=r"^[^./\s][^./]*$"), AfterValidator(_not_taken)]
"""Name of a label; it becomes part of the names of modules and of logs."""
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]

BY_SIZE = "by_size"
LabelKind = Literal["regression", "classes"]
"""Whether a label is a number, or one of several classes."""
DEFAULT_LABELS = ("age", "sex", "p_factor", "attention", "internalizing", "externalizing")
"""Labels that travel with every mixture whose corpora have them."""
_ANSWERS = ("label", "target", "targets")
"""Names of the targets of tasks."""
_LOGS = (
    *("amplitude", "amplitude_phase", "auxiliary", "baseline", "chance", "codes", "commitment", "log_covariance"),
    *("log_spectrum", "log_spectrum_minus_person", "log_spectrum_minus_slope", "log_spectrum_minus_window"),
    *("normalized_signal", "own", "phase", "prediction", "signal", "visible_mean"),
)
"""Names whose losses objectives log."""

# The discriminator chooses the type first, so that an error is about the type that the user meant.
Weights = Annotated[
    Annotated[dict[str, Weight], Field(min_length=1), Tag("table")] | Annotated[Literal["by_size"], Tag("word")],
    Discriminator(lambda value: "word" if isinstance(value, str) else "table"),
]


class MixtureParams(StrictModel):
    """Corpora that a training draws from, with the share of each.

    Args:
        weights: By corpus, its share of every batch, normalized over the corpora that are there; or ``by_size``, the
            share that follows from the corpora's sizes, rounded to whole windows of a batch.
        by: Unit of the shares: windows; hours of signal, for corpora with windows of several lengths; or persons. With
            persons, the next window comes from the next person, and each person has one turn per round.
        temperature: With ``by_size``, shares are proportional to size ** (1 / temperature). 1 is proportional to the
            size, a larger value is more even.
        max_windows_per_person: Windows of one person and corpus that an epoch shows; another sample in every epoch.
        cut: The cut whose windows are drawn one by one. It decides sizes and shares.
        cuts: Further cuts, for trainings that draw pairs of their windows. Left out, they are the cuts that the pairs
            of the phases are made of: the configuration fills them in. Where nothing fills them in, there are none.
        labels: Columns of the recordings tables that auxiliary heads may name (``age`` is ``age_years``). Those of the
            default need not be there; of any other one a corpus must have the column.
    """

    weights: Weights = Field(default_factory=lambda: {"hbn": 0.7, "tuh": 0.3})
    by: Literal["windows", "hours", "persons"] = "windows"
    temperature: Weight = 1.0
    max_windows_per_person: PositiveInt | None = None
    cut: str = "pretrain"
    cuts: tuple[str, ...] | None = None
    labels: tuple[LabelName, ...] = DEFAULT_LABELS

    @model_validator(mode="after")
    def _cuts_differ(self) -> "MixtureParams":
        refuse_repeated((self.cut, *self.further_cuts), "cut")
        return self

    @field_validator("labels")
    @classmethod
    def _labels_are_apart(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        return refuse_repeated(labels, "label")

    @model_validator(mode="after")
    def _temperature_has_an_effect(self) -> "MixtureParams":
        if self.temperature != 1 and self.weights != BY_SIZE:
            raise ValueError(f"temperature {self.temperature:g} has no effect on given weights; say weights: {BY_SIZE}")
        return self

    @property
    def further_cuts(self) -> tuple[str, ...]:
        """The cuts beside ``cut``."""
        return self.cuts or ()

    @property
    def given_weights(self) -> Mapping[str, float]:
        """The weights that are given, by corpus; empty where they follow from the sizes."""
        return {} if isinstance(self.weights, str) else self.weights
