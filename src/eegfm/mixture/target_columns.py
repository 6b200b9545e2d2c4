"""Targets of runs of windows (a class, a number, several numbers) as numeric columns."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.errors import ConfigError

UNKNOWN = -1
"""Number of an unknown class. An unknown float target is NaN."""
LABEL_PREFIX = "label_"
"""Start of the columns with labels of recordings, see ``eegfm.mixture.labels``."""


def target_columns(mixture: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Return the targets of a table's runs by the name of their column. A column of a task without any value is absent.

    Args:
        mixture: All rows of all splits, one row per run. Classes are numbered by the names in the table, so a class has
            one number wherever its windows are used.

    Returns:
        ``label``: (R,) int32 number of the class in ``class_names``, -1 if unknown. ``target``: (R,) float32, NaN if
        unknown. ``targets``: (R, K) float32, one per output of a task with several outputs, NaN if unknown. Labels of
        recordings by their name, without the prefix of their column: as ``label`` or as ``target``.

    Raises:
        ConfigError: Rows have different numbers of targets.
    """
    columns: dict[str, NDArray[Any]] = {}
    for name, read in (("label", _classes), ("target", _numbers), ("targets", _outputs)):
        if name in mixture and mixture[name].notna().any():
            columns[name] = read(mixture[name])
    for name in label_names(mixture):
        values = mixture[LABEL_PREFIX + name]
        columns[name] = (_numbers if pd.api.types.is_numeric_dtype(values) else _classes)(values)
    return columns


def label_names(mixture: pd.DataFrame) -> list[str]:
    """Return the names of the labels of recordings that a table holds, in its order."""
    return [str(c).removeprefix(LABEL_PREFIX) for c in mixture if str(c).startswith(LABEL_PREFIX)]


def class_names(mixture: pd.DataFrame, name: str = "label") -> list[str]:
    """Return the names of a table's classes, sorted: class k of ``target_columns`` is the k-th.

    Args:
        mixture: The table.
        name: Name of the target; one of numbers has no classes.
    """
    column = name if name == "label" else LABEL_PREFIX + name
    if column not in mixture or pd.api.types.is_numeric_dtype(mixture[column]):
        return []
    values = mixture[column]
    if isinstance(values.dtype, pd.CategoricalDtype):
        return list(map(str, values.cat.categories))
    return sorted(map(str, values.dropna().unique()))


def _classes(labels: "pd.Series[Any]") -> NDArray[Any]:
    if isinstance(labels.dtype, pd.CategoricalDtype):
        return labels.cat.codes.to_numpy(np.int32)
    return pd.factorize(labels, sort=True)[0].astype(np.int32)


def _numbers(target: "pd.Series[Any]") -> NDArray[Any]:
    return target.to_numpy(dtype=np.float32)


def _outputs(targets: "pd.Series[Any]") -> NDArray[Any]:
    is_known = targets.notna().to_numpy()
    known = list(targets[is_known])
    found = sorted({len(values) for values in known})
    if len(found) > 1:
        raise ConfigError(
            f"targets: windows have {' and '.join(map(str, found))} numbers each, those of one mixture must have as "
            "many; draw from cuts of one task"
        )
    columns = np.full((len(targets), found[0]), np.nan, dtype=np.float32)
    columns[is_known] = np.stack(known)
    return columns
