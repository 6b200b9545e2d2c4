"""Read what a checkpoint says of its normalization. No torch here."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from eegfm.config import first_problem
from eegfm.errors import CheckpointError
from eegfm.normalizations.config import NormalizationBase, NormalizationConfig

_CONFIG: TypeAdapter[NormalizationBase] = TypeAdapter(NormalizationConfig)


def normalization_of(said: dict[str, Any]) -> NormalizationBase:
    """Validate a header's configuration. A default of today stands in for nothing that it does not say.

    Raises:
        CheckpointError: It names nothing on the menu, or leaves out a choice.
    """
    try:
        config = _CONFIG.validate_python(said)
    except ValidationError as error:
        raise CheckpointError(
            f"the checkpoint's normalization is not on the menu: {first_problem(error)}; use the eegfm that wrote it, "
            "or train or import the encoder again"
        ) from error
    unsaid = sorted(type(config).model_fields.keys() - said.keys())
    if unsaid:
        raise CheckpointError(
            f"the checkpoint's normalization {config.name} does not say {', '.join(unsaid)}, so that its encoder's "
            "signals cannot be made; train or import it again"
        )
    return config


def described(config: NormalizationBase) -> str:
    """A configuration as its name and choices, in one line."""
    choices = config.model_dump(mode="json", exclude={"name"})
    return f"{config.name} ({', '.join(f'{name} {value}' for name, value in choices.items())})"
