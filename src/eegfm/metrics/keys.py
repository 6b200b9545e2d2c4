"""Keys of logged values: ``{stage}/{name}``, and the names that the predecessors' programs gave them. No torch here.

A stage is ``train``, ``val`` or ``test``. A name is ``loss`` or a metric of the target. ``val_auroc`` is an alias of
``val/auroc``; some aliases shorten the name, such as ``val_balanced_acc``.
"""

import difflib
from collections.abc import Mapping
from typing import Final

from eegfm.errors import ConfigError
from eegfm.metrics.names import CLASS_METRICS, N_LEFT_OUT, NUMBER_METRICS, metric_names
from eegfm.targets import TargetSpec

STAGES: Final = ("train", "val", "test")

_SHORT = {
    "accuracy": "acc",
    "balanced_accuracy": "balanced_acc",
    "auprc": "aupr",
    "f1": "f1_score",
    "f1_weighted": "f1_score_weighted",
    "cohen_kappa": "kappa",
}
"""Names that the predecessors shorten, or spell otherwise."""

_NAMES = ("loss", *CLASS_METRICS, *NUMBER_METRICS, N_LEFT_OUT)
_CANONICAL = {
    f"{stage}_{spelling}": f"{stage}/{name}"
    for stage in STAGES
    for name in _NAMES
    for spelling in (name, _SHORT.get(name, name))
}


def metric_key(stage: str, name: str) -> str:
    """Return the key of a value, such as ``val/auroc``."""
    assert stage in STAGES, f"{stage} is no stage"
    return f"{stage}/{name}"


def alias_of(key: str) -> str:
    """Return the predecessors' name of a key: ``val/f1`` is ``val_f1_score``."""
    stage, _, name = key.partition("/")
    return f"{stage}_{_SHORT.get(name, name)}"


def canonical_key(key: str) -> str:
    """Return the key that an alias stands for. Any other text is returned as it is.

    Both spellings of a name are aliases: ``val_acc`` and ``val_accuracy`` stand for ``val/accuracy``.
    """
    return _CANONICAL.get(key, key)


def check_monitor(key: str, target: TargetSpec, stage: str = "val") -> str:
    """Return the key that a monitor names, or refuse a key that will not exist.

    Args:
        key: Key or alias.
        target: What the windows are asked for; it decides which metrics there are.
        stage: The stage whose values are watched.

    Raises:
        ConfigError: No value of this stage and target has this key.
    """
    known = [metric_key(stage, name) for name in ("loss", *metric_names(target))]
    canonical = canonical_key(key)
    if canonical in known:
        return canonical
    of_stage = metric_key(stage, canonical.rpartition("/")[2])
    spellings = [*known, *(alias for alias, named in _CANONICAL.items() if named in known)]
    close = [of_stage] if of_stage in known else difflib.get_close_matches(key, spellings, n=1)
    meant = f"; did you mean {close[0]}?" if close else ""
    raise ConfigError(f"monitor {key!r}: no value of a {target.kind} target; known: {', '.join(known)}{meant}")


def with_aliases(values: Mapping[str, float]) -> dict[str, float]:
    """Return values by key, and behind them the same values by alias."""
    own = {alias_of(key): value for key, value in values.items() if canonical_key(alias_of(key)) == key}
    return {**values, **own}
