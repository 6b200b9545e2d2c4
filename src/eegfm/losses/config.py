"""Menu of the losses of answers, and of the weights of their classes. No torch here."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from eegfm.config import Amount, StrictModel
from eegfm.errors import ConfigError
from eegfm.targets import TargetSpec

Share = Annotated[float, Field(ge=0, lt=1)]


class CrossEntropyConfig(StrictModel):
    """Cross-entropy of one class out of several, for each output.

    Args:
        label_smoothing: Share of the true answer that all classes get in equal parts (Szegedy et al. 2016, arXiv
            1512.00567, section 7).
    """

    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Share = 0.0


class BceConfig(StrictModel):
    """Binary cross-entropy of each yes-or-no output."""

    name: Literal["bce"] = "bce"


class FocalConfig(StrictModel):
    """Cross-entropy in which answers that are already right count less (Lin et al. 2017, arXiv 1708.02002, eq. 4).

    Args:
        gamma: Power of the probability of all wrong answers, which each answer is multiplied by; 0 is cross-entropy.
    """

    name: Literal["focal"] = "focal"
    gamma: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 2.0


class MseConfig(StrictModel):
    """Squared difference of numbers."""

    name: Literal["mse"] = "mse"


class L1Config(StrictModel):
    """Absolute difference of numbers."""

    name: Literal["l1"] = "l1"


class HuberConfig(StrictModel):
    """Half the squared difference of near numbers, and a straight line beyond (Huber 1964).

    Args:
        delta: Difference at which the line begins; it is also the line's slope.
    """

    name: Literal["huber"] = "huber"
    delta: Amount = 1.0


LossConfig = Annotated[
    CrossEntropyConfig | BceConfig | FocalConfig | MseConfig | L1Config | HuberConfig, Field(discriminator="name")
]
"""Union of the losses of answers."""

_OF_KIND: dict[str, tuple[str, ...]] = {
    "binary": ("cross_entropy", "focal"),
    "multiclass": ("cross_entropy", "focal"),
    "multioutput": ("cross_entropy", "focal"),
    "multilabel": ("bce", "focal"),
    "regression": ("mse", "l1", "huber"),
}
"""By kind of the answer, the losses that fit; the first is the default."""


def default_loss(target: TargetSpec) -> "LossConfig":
    """Return the usual loss of a kind of answer: cross-entropy for classes, squared difference for numbers.

    Raises:
        ConfigError: The windows have no answer.
    """
    name = _losses_of(target)[0]
    if name == "cross_entropy":
        return CrossEntropyConfig()
    return BceConfig() if name == "bce" else MseConfig()


def check_loss(config: "LossConfig", target: TargetSpec) -> None:
    """Refuse a loss that does not fit the kind of the answer.

    Raises:
        ConfigError: It does not.
    """
    fitting = _losses_of(target)
    if config.name not in fitting:
        raise ConfigError(
            f"loss {config.name!r} does not fit a {target.kind} answer; losses that do: {', '.join(fitting)}; name one "
            "of them, or leave loss out"
        )


def _losses_of(target: TargetSpec) -> tuple[str, ...]:
    if target.kind not in _OF_KIND:
        raise ConfigError(f"windows that are {target.kind} have no answer to learn; choose a cut with a task")
    return _OF_KIND[target.kind]


class NoWeights(StrictModel):
    """Every window counts the same."""

    name: Literal["none"] = "none"


class BalancedWeights(StrictModel):
    """A window weighs the inverse of the number of windows of its class: all classes count the same in sum."""

    name: Literal["balanced"] = "balanced"


class SqrtBalancedWeights(StrictModel):
    """The square root of the balanced weight: rare classes count more than by their windows, but less than others."""

    name: Literal["sqrt_balanced"] = "sqrt_balanced"


class EffectiveNumberWeights(StrictModel):
    """The inverse of the effective number of windows of a class (Cui et al. 2019, arXiv 1901.05555, eq. 5).

    Args:
        beta: 0 weighs all classes the same; the nearer to 1, the nearer to balanced weights.
    """

    name: Literal["effective_number"] = "effective_number"
    beta: Annotated[float, Field(ge=0, lt=1)] = 0.999


class ListedWeights(StrictModel):
    """Weights of your own.

    Args:
        weights: Of the classes in the order of the task, the same for every output; for yes-or-no outputs the weight
            of a yes of each output, where a no weighs 1.
    """

    name: Literal["list"] = "list"
    weights: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = Field(min_length=1)


def _named(value: Any) -> Any:
    if value is None:
        return {"name": "none"}
    if isinstance(value, str):
        return {"name": value}
    return {"name": "list", "weights": value} if isinstance(value, list | tuple) else value


ClassWeights = Annotated[
    NoWeights | BalancedWeights | SqrtBalancedWeights | EffectiveNumberWeights | ListedWeights,
    Field(discriminator="name"),
    BeforeValidator(_named),
]
"""Union of the weights of classes: a name alone, ``{name: effective_number, beta: 0.99}``, or a list of numbers."""
