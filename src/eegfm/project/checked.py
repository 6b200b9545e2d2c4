"""One typed parameter, and the line that says what is wrong with it."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from eegfm.config import StrictModel
from eegfm.errors import ConfigError

_FOUND_LENGTH = 80
_NO_MAPPING = {"model_attributes_type", "model_type", "dict_type"}
_Model = TypeVar("_Model", bound=StrictModel)


def checked(model: type[_Model], value: Any, key: str) -> _Model:
    """Build one typed parameter.

    Raises:
        ConfigError: A value is invalid. The one line names each key, the value that was found and the allowed values.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = dict.fromkeys(_problem(model, value, key, dict(e)) for e in error.errors())
        raise ConfigError("; ".join(problems)) from error


def _problem(model: type[BaseModel], value: Any, key: str, error: Mapping[str, Any]) -> str:
    where = ".".join([key, *_user_keys(value, error["loc"], is_missing=error["type"] == "missing")])
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return f"parameter {where} is not known; {known_names(error['loc'][-1], _fields(model, error['loc'][:-1]))}"
        case "union_tag_invalid":
            tags = [tag.strip("' ") for tag in context["expected_tags"].split(",")]
            return f"parameter {where}.name: {context['tag']!r} is not known; {known_names(context['tag'], tags)}"
        case "missing":
            return f"parameter {where} is missing"
    if error["input"] is None and error["type"] in _NO_MAPPING:
        return f"parameter {where} is null, but there is no inherited entry {where} that null could drop; leave it out"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "string_type" and isinstance(error["input"], bool | int | float):
        message += "; put yes, no, on, off and numbers in quotes where they are text"
    if isinstance(error["input"], Mapping):
        return f"parameter {where}: {message}"
    found = repr(error["input"])
    return f"parameter {where}: {message} (found {found[:_FOUND_LENGTH]}{'…' * (len(found) > _FOUND_LENGTH)})"


def known_names(name: str, known: Sequence[str]) -> str:
    """The names there are, and the one that was probably meant, as the end of an error."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"known: {', '.join(known)}" + (f"; did you mean {close[0]}?" if close else "")


def _user_keys(value: Any, location: Sequence[str | int], *, is_missing: bool) -> Iterator[str]:
    """Keys of the parameters: pydantic's location without the names of a union's members."""
    for place, part in enumerate(location):
        in_list = isinstance(value, list | tuple) and isinstance(part, int)
        if in_list or (isinstance(value, Mapping) and part in value):
            value = value[part]
        elif not (is_missing and place == len(location) - 1):
            continue
        yield str(part)


def _fields(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """Names of the keys that are allowed at a location of pydantic's."""
    found = [model]
    for part in location:
        members = [m for m in found if "name" in m.model_fields and m.model_fields["name"].default == part]
        fields = [m.model_fields[str(part)] for m in found if part in m.model_fields]
        # Keys of a dictionary and positions in a list do not change the allowed values.
        found = members or [inner for f in fields for inner in _models(f.annotation)] or found
    return sorted({name for m in found for name in m.model_fields})


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """All models inside an annotation: members of a union, values of a dictionary."""
    if get_origin(annotation) is None and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
