"""Names on the command line that choose steps: which exist, and what was meant."""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from kedro.pipeline import Pipeline

from eegfm.errors import ConfigError

_PROBE = "probe"
_N_LISTED = 20


def check_choices(pipelines: Mapping[str, Pipeline], given: Mapping[str, Any]) -> None:
    """Refuse names that choose nothing.

    Args:
        pipelines: All pipelines of the project by name.
        given: Options of ``kedro run`` by the names of Kedro's function.

    Raises:
        ConfigError: A name does not exist, or no step has all that was asked for.
    """
    names = _listed(given.get("pipelines")) or _listed(given.get("pipeline"))
    for name in names:
        if name == _PROBE and name not in pipelines:
            raise ConfigError(
                "--pipelines=probe: no corpus is probed, since corpora.probe is empty; name the corpora to probe on, "
                "--params='corpora.probe=[NAME],probe.tasks=[CUT]'"
            )
        _refuse("--pipelines", "pipeline", name, pipelines)
    chosen = sum((pipelines[name] for name in names or ["__default__"]), Pipeline([]))
    for option, key, what, known in _kinds(chosen):
        for name in _listed(given.get(key)):
            _refuse(option, what, name, known, f" in {','.join(names)}" if names else "")
    used = [option for option, key, _, _ in _kinds(chosen) if _listed(given.get(key))]
    if used:
        raise ConfigError(f"no step is left by {' and '.join(used)} together; leave one of them out")


def _kinds(chosen: Pipeline) -> Iterator[tuple[str, str, str, set[str]]]:
    """Option, its name in Kedro's function, what it names, and the names that exist."""
    steps = {node.name for node in chosen.nodes}
    entries = {name for name in chosen.datasets() if not name.startswith("params:")}
    yield "--tags", "tags", "tag", {tag for node in chosen.nodes for tag in node.tags}
    yield "--nodes", "node_names", "step", steps
    yield "--from-nodes", "from_nodes", "step", steps
    yield "--to-nodes", "to_nodes", "step", steps
    yield "--from-inputs", "from_inputs", "entry", entries
    yield "--to-outputs", "to_outputs", "entry", entries
    yield "--namespaces", "namespaces", "corpus", {node.namespace for node in chosen.nodes if node.namespace}


def _refuse(option: str, what: str, name: str, known: Collection[str], where: str = "") -> None:
    if name in known:
        return
    listed = sorted(known)
    # Several corpora have the same step: one that ends alike is meant, too.
    close = [k for k in listed if k.rpartition(".")[2] == name] or difflib.get_close_matches(name, listed, n=1)
    shown = listed if len(listed) <= _N_LISTED else [*listed[:_N_LISTED], f"… ({len(listed)} in all)"]
    meant = f"; did you mean {' or '.join(close)}?" if close else ""
    raise ConfigError(f"{option}: there is no {what} {name!r}{where}; known: {', '.join(shown)}{meant}")


def _listed(value: str | Iterable[str] | None) -> list[str]:
    return [value] if isinstance(value, str) and value else list(value or [])
