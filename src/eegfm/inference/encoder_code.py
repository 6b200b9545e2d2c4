"""Hash of the code that decides what an encoder's weights compute. No torch here."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from eegfm.adapters.config import AdapterConfig
from eegfm.checkpoint import CheckpointHeader
from eegfm.config import Buildable
from eegfm.encoders.config import AnyEncoderConfig
from eegfm.errors import CheckpointError
from eegfm.normalizations.said import normalization_of
from eegfm.source_code import module_hashes

logger = logging.getLogger(__name__)

_ENCODER: TypeAdapter[Buildable] = TypeAdapter(AnyEncoderConfig)
_ADAPTER: TypeAdapter[Buildable] = TypeAdapter(AdapterConfig)
_PREPARE = "eegfm.nn.rereference"
_N_NAMED = 3


def encoder_code(encoder: Buildable, adapter: Buildable, normalization: Buildable) -> dict[str, str]:
    """Short hash of each module between stored microvolts and encoded vectors, for a checkpoint's header."""
    chosen = (*implementations(encoder), *implementations(adapter), *implementations(normalization))
    return module_hashes(*chosen, _PREPARE)


def implementations(config: Any) -> Iterator[str]:
    """Modules that a configuration, or what is nested in it, also in lists and by name, builds from."""
    if isinstance(config, Buildable):
        yield config.implementation.partition(":")[0]
    nested: Iterable[Any] = ()
    if isinstance(config, BaseModel):
        nested = (getattr(config, name) for name in type(config).model_fields)
    elif isinstance(config, Mapping):
        nested = config.values()
    elif isinstance(config, list | tuple):
        nested = config
    for one in nested:
        yield from implementations(one)


def other_code(header: CheckpointHeader) -> list[str]:
    """Name the modules whose code differs from the code that an encoder was made with.

    Raises:
        CheckpointError: The configuration names nothing on the menu.
    """
    now = _code_now(header)
    return sorted(name for name in {*header.encoder_code, *now} if header.encoder_code.get(name) != now.get(name))


def refuse_other_code(header: CheckpointHeader, *, accept: bool, key: str, options: str = "") -> list[str]:
    """Compare the code that an encoder was made with and the code as it is.

    Args:
        header: Of the encoder.
        accept: Whether to go on with a warning where they differ.
        key: Name of the parameter that accepts, for the message; empty if there is none.
        options: Of the command that makes the encoder anew, for the message.

    Returns:
        Modules that differ.

    Raises:
        CheckpointError: They differ and it is not accepted.
    """
    differ = other_code(header)
    if not differ:
        return []
    named = ", ".join(differ[:_N_NAMED]) + (f" and {len(differ) - _N_NAMED} more" if len(differ) > _N_NAMED else "")
    said = f"the encoder was made by other code of {header.encoder['name']} than there is now ({named})"
    if not accept:
        again = "import_weights" if header.imported else header.phase
        raise CheckpointError(
            f"{said}: its weights would compute something else; make it again with: kedro run --pipelines={again}"
            f"{options}, {f'use the code that made it, or set {key}=true' if key else 'or use the code that made it'}"
        )
    logger.warning("%s; %s accepts that", said, key)
    return differ


def _code_now(header: CheckpointHeader) -> dict[str, str]:
    try:
        encoder, adapter = _ENCODER.validate_python(header.encoder), _ADAPTER.validate_python(header.adapter)
    except ValidationError as error:
        raise CheckpointError(
            f"the checkpoint's configuration is not on the menu: {error.errors()[0]['msg']}"
        ) from error
    return encoder_code(encoder, adapter, normalization_of(header.normalization))
