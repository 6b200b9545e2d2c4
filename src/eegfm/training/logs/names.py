"""Names of logged values: the stage before, the corpus behind, as ``train/loss/tuh``."""

from collections.abc import Iterable, Mapping
from typing import Any

TRAIN, VAL = "train", "val"
_OF_EPOCH = "_epoch"


def named(
    stage: str,
    means: Mapping[str, float],
    by_corpus: Mapping[str, Mapping[str, float]],
    *,
    of_epoch: bool = False,
) -> dict[str, float]:
    """Name means over the mixture and those of each corpus.

    Args:
        stage: ``train`` or ``val``.
        means: Values over the mixture.
        by_corpus: Values by corpus.
        of_epoch: Whether they are means over an epoch: the names say so.
    """
    ending = _OF_EPOCH if of_epoch else ""
    found = {f"{stage}/{name}{ending}": value for name, value in means.items()}
    for corpus, values in by_corpus.items():
        found |= {f"{stage}/{name}{ending}/{corpus}": value for name, value in values.items()}
    return found


def aliases(values: Mapping[str, float]) -> dict[str, float]:
    """Return the losses under names without a slash, for callbacks and formats of file names that want such."""
    return {name.replace("/", "_"): values[name] for name in (f"{TRAIN}/loss", f"{VAL}/loss") if name in values}


def history_columns(values: Mapping[str, float]) -> dict[str, float]:
    """Return what the history keeps: values of steps, with names of columns (``loss_tuh``, ``val_loss_tuh``).

    Speed, memory and rates of single groups stay in the logs; a run that goes on would not have the same again.
    """
    found = {}
    for name, value in values.items():
        stage, *rest = name.split("/")
        if stage in (TRAIN, VAL) and not rest[0].endswith(_OF_EPOCH):
            found["_".join(rest if stage == TRAIN else [stage, *rest])] = value
    return found


def learning_rates(groups: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """``lr/<group>`` of every parameter group: by its ``name``, else by its number.

    Groups of one name, such as those with and without decay, are one where they have one rate.
    """
    found: dict[str, float] = {}
    for number, group in enumerate(groups):
        name, rate = f"lr/{group.get('name', number)}", float(group["lr"])
        found[name if found.get(name, rate) == rate else f"{name}.{number}"] = rate
    return found


def shares(numbers: Mapping[str, float], name: str) -> dict[str, float]:
    """``train/<name>/<corpus>``: each corpus's part of the sum; nothing where the sum is zero."""
    total = sum(numbers.values())
    return {f"{TRAIN}/{name}/{corpus}": value / total for corpus, value in sorted(numbers.items())} if total else {}
