"""Configuration of auxiliary heads. No torch here."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from eegfm.config import Amount, Buildable, Count, StrictModel, refuse_repeated
from eegfm.mixture.config import DEFAULT_LABELS, LabelKind, LabelName

_WEIGHTS = {"age": 1.0, "sex": 0.5, "p_factor": 1.0, "attention": 0.5, "internalizing": 0.5, "externalizing": 0.5}
_CLASSES = ("sex",)


class HeadConfig(StrictModel):
    """Predict one label with a network of one hidden layer.

    Args:
        name: The label: one of ``mix.labels``.
        kind: ``regression`` for a number, ``classes`` for a class; by default ``classes`` for sex alone.
        weight: Weight of its loss beside that of the objective; by default the predecessors': 1 for age and p_factor,
            0.5 for sex and the other factors, 1 for any other label.
        hidden: Width of the hidden layer.
        dropout: Share of the hidden layer that is dropped.
    """

    name: LabelName
    kind: LabelKind
    weight: Amount
    hidden: Count = 128
    dropout: float = Field(default=0.1, ge=0, lt=1)

    @model_validator(mode="before")
    @classmethod
    def _choose_by_name(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("name"), str):
            return data
        name = data["name"]
        return {"kind": "classes" if name in _CLASSES else "regression", "weight": _WEIGHTS.get(name, 1.0), **data}


Head = Annotated[HeadConfig, BeforeValidator(lambda value: {"name": value} if isinstance(value, str) else value)]


DEFAULT_HEADS = tuple(HeadConfig.model_validate({"name": name}) for name in DEFAULT_LABELS)


class AuxiliaryConfig(Buildable):
    """Predict labels of persons from the pooled features of a window, beside the task of the objective.

    Args:
        heads: One for each label; ``age`` is short for ``{name: age}``.
        weight: Weight of all heads together beside the objective. With 1, their gradients, which vary much between
            batches, slow the objective down.
        weighting: ``fixed`` adds the losses by their weights. ``uncertainty`` learns a variance for each head besides
            (Kendall et al. 2018, arXiv 1705.07115).
    """

    implementation: ClassVar[str] = "eegfm.objectives.heads.heads:AuxiliaryHeads"

    heads: tuple[Head, ...] = Field(default=DEFAULT_HEADS, min_length=1)
    weight: Amount = 1.0
    weighting: Literal["fixed", "uncertainty"] = "fixed"

    @field_validator("heads")
    @classmethod
    def _heads_are_apart(cls, heads: tuple[HeadConfig, ...]) -> tuple[HeadConfig, ...]:
        refuse_repeated([head.name for head in heads], "auxiliary head")
        return heads

    @property
    def kinds(self) -> dict[str, LabelKind]:
        """Kind of each label."""
        return {head.name: head.kind for head in self.heads}
