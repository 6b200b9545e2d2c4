"""Check one configuration file before Kedro reads it: its syntax, its keys, and that it is a mapping."""

from collections.abc import Iterator
from io import StringIO
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from eegfm.errors import ConfigError

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STANDARD = "tag:yaml.org,2002:"
_NO_TEXT = {"bool": "true or false", "int": "a number", "float": "a number", "null": "null"}
"""Kinds of unquoted words that are no text in Kedro's configuration, where a date is text."""
_ACCEPTED: set[bytes] = set()
"""Contents that were found right before: Kedro reads each file for several keys, and again in each session."""


def check_file(path: str, content: bytes) -> None:
    """Refuse a file that Kedro cannot read, or would read otherwise than it is written.

    Args:
        path: Name of the file, for the message.
        content: Bytes of the file.

    Raises:
        ConfigError: One line with the file, the line (from 1) and the remedy.
    """
    if content in _ACCEPTED:
        return
    try:
        text = content.decode("utf8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}, line {line}: this is no UTF-8; save the file as UTF-8") from error
    try:
        roots = list(yaml.compose_all(text, Loader=_LOADER))
        _check_roots(path, roots)
        OmegaConf.load(StringIO(text))  # refuses further things, such as aliases in a circle
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{path}, {_syntax(text, error)}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from error
    except OmegaConfBaseException as error:
        problem = str(error).partition("\n")[0]
        raise ConfigError(
            f"{path}, {error.full_key}: {problem}; a reference is ${{globals:NAME}} or ${{NAME}}"
        ) from error
    _ACCEPTED.add(content)


def _check_roots(path: str, roots: list[yaml.Node]) -> None:
    if len(roots) > 1:
        raise ConfigError(f"{path}, {_line(roots[1])}: a second document begins here; a file holds one, without ---")
    for root in roots:
        if not isinstance(root, yaml.MappingNode) and not _is_empty(root):
            kind = "a list" if isinstance(root, yaml.SequenceNode) else "a single value"
            raise ConfigError(
                f"{path}, {_line(root)}: this is {kind}; a configuration file holds lines of 'key: value'"
            )
        _check_keys(path, root)


def _syntax(text: str, error: yaml.MarkedYAMLError) -> str:
    """Place and cause of a syntax error. YAML counts lines and columns from 0."""
    mark = error.problem_mark or error.context_mark
    problem = error.problem or "this is no YAML"
    if mark is None:
        return problem
    where = f"line {mark.line + 1}, column {mark.column + 1}: "
    line = [*text.split("\n"), ""][mark.line]
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return f"{where}a tab; YAML is indented with spaces only"
    begins = error.context_mark
    if error.context and begins and begins.line != mark.line:
        problem += f" {error.context} that begins in line {begins.line + 1}"
    if "flow" in (error.context or ""):
        problem += "; close the bracket or brace, and put text with , : [ ] { } in quotes"
    return where + problem


def _check_keys(path: str, root: yaml.Node) -> None:
    for node in _nodes(root, set()):
        if not node.tag.startswith(_STANDARD) or "python" in node.tag:
            raise ConfigError(f"{path}, {_line(node)}: the tag {node.tag} is not known; leave it out")
        if not isinstance(node, yaml.MappingNode):
            continue
        first: dict[str, yaml.Node] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError(f"{path}, {_line(key)}: a key is a word, no list or mapping; put it in quotes")
            if kind := _NO_TEXT.get(key.tag.removeprefix(_STANDARD)):
                raise ConfigError(
                    f"{path}, {_line(key)}: YAML reads the key {key.value or '(nothing)'} as {kind}; "
                    f'put it in quotes: "{key.value}"'
                )
            if key.value in first and key.tag != f"{_STANDARD}merge":
                raise ConfigError(
                    f"{path}, {_line(key)}: the key {key.value} stands in {_line(first[key.value])} already; "
                    "only one of them can count"
                )
            first[key.value] = key


def _nodes(node: yaml.Node, seen: set[int]) -> Iterator[yaml.Node]:
    """A node and all below it, each once: aliases may make circles."""
    if id(node) in seen:
        return
    seen.add(id(node))
    yield node
    children: list[Any] = node.value if isinstance(node, yaml.CollectionNode) else []
    for child in children:
        for part in child if isinstance(child, tuple) else (child,):
            yield from _nodes(part, seen)


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == f"{_STANDARD}null"
