"""Folder of one model. Several models with folders of their own live over one store."""

import re

from eegfm.errors import ConfigError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MAX_LENGTH = 100


def model_folder(data: str, model: object) -> str:
    """Resolve ``${model_folder:DATA,MODEL}`` in the catalog: the folder of everything that belongs to one model.

    Args:
        data: Folder of everything that a run writes.
        model: Name of the model; the data folder itself is the folder of the model without a name.

    Raises:
        ConfigError: The name is no plain name of a folder.
    """
    if model in (None, ""):
        return str(data)
    return f"{data}/models/{checked_model(model)}"


def checked_model(model: object) -> str:
    """A model's name, if it is a plain name of a folder.

    Raises:
        ConfigError: It is not. A float or a truth value is refused too, because its text is not what was typed.
    """
    name = str(model) if isinstance(model, str | int) and not isinstance(model, bool) else ""
    if not _NAME.fullmatch(name) or name.endswith(".") or len(name) > _MAX_LENGTH:
        raise ConfigError(
            f"parameter model: {model!r} is no name of a model; allowed are letters without accents, digits and . _ -, "
            f"with a letter or a digit first and no dot last, at most {_MAX_LENGTH} characters, e.g. model=luna-2"
        )
    return name
