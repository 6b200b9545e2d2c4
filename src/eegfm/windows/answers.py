"""True answers of windows as arrays, checked before anything is trained on them.

Shapes: W windows, C classes, K outputs; see ``eegfm.targets``.
"""

import logging

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.errors import SplitError
from eegfm.targets import TargetSpec

logger = logging.getLogger(__name__)

Ints = NDArray[np.int64]
Truths = NDArray[np.int64] | NDArray[np.float32]
_COLUMN = {"binary": "label", "multiclass": "label", "multilabel": "targets", "multioutput": "targets"}
_N_LISTED = 6
_ANSWERS = ("label", "target", "targets")


def checked_answers(windows: pd.DataFrame, target: TargetSpec, where: str, *, to_learn: bool = True) -> Truths:
    """Read the answers of windows, and refuse those that the task does not have.

    Args:
        windows: Windows of one cut, or runs of windows; see ``eegfm.windows.runs.COLUMNS``.
        target: The answer that is asked of them.
        where: Name of the windows for messages, e.g. ``task tuev.events, split train``.
        to_learn: Whether they are to be learnt from. Then every class must have a window, every yes-or-no output both
            answers, and every number must vary. Windows that are only scored may lack some.

    Returns:
        (W,) or (W, K) truths of every row as ``eegfm.targets`` says: -1 or NaN where the answer is unknown.

    Raises:
        SplitError: An answer is no class of the task or no finite number, there are answers of another kind or none at
            all, or something cannot be learnt. One line, with the counts.
    """
    column = _column(target)
    if column not in windows or not windows[column].notna().any():
        filled = [name for name in _ANSWERS if name in windows and windows[name].notna().any()]
        also = f"; their answers stand in column {filled[0]!r}, so they are of another task" if filled else ""
        raise SplitError(
            f"{where}: {len(windows)} rows of windows have no answer in column {column!r}{also}; cut them again, or "
            "name another cut"
        )
    if column == "label":
        truths: Truths = _class_numbers(windows["label"], target, where)
    else:
        truths = _numbers(windows[column], target, where)
    if to_learn:
        n_windows = windows["n_windows"].to_numpy(np.int64) if "n_windows" in windows else None
        refuse_unlearnable(target, truths, where, n_windows)
    return truths


def without_answers(windows: pd.DataFrame) -> pd.DataFrame:
    """Return windows without the columns that answers stand in, so that no feature of them can know an answer."""
    return windows.drop(columns=list(_ANSWERS), errors="ignore")


def answer_counts(target: TargetSpec, truths: Truths, n_windows: Ints | None = None) -> Ints:
    """Count the windows of each class.

    Args:
        target: An answer of classes.
        truths: (W,) or (W, K).
        n_windows: (W,) windows that each row stands for; one by default.

    Returns:
        (C,) for one class per window, (K, 2) for no and yes of each output, or (K, C). Unknown answers count nowhere.
    """
    assert target.kind in _COLUMN, f"a {target.kind} answer has no classes to count"
    columns = truths.reshape(len(truths), -1)
    n_classes = 2 if target.kind == "multilabel" else len(target.classes)
    weights = np.ones(len(truths), dtype=np.int64) if n_windows is None else n_windows
    counts = np.zeros((columns.shape[1], n_classes), dtype=np.int64)
    for number in range(n_classes):
        counts[:, number] = ((columns == number) * weights[:, None]).sum(axis=0)
    return counts[0] if target.kind in ("binary", "multiclass") else counts


def refuse_unlearnable(target: TargetSpec, truths: Truths, where: str, n_windows: Ints | None = None) -> None:
    """Refuse answers from which the task cannot be learnt; see ``checked_answers``.

    Raises:
        SplitError: A class has no window, an output has one answer only, or a number does not vary.
    """
    if target.kind == "regression":
        _refuse_constant(target, truths, where)
        return
    counts = answer_counts(target, truths, n_windows)
    if target.kind == "multilabel":
        short = [name for name, (no, yes) in zip(target.outputs, counts, strict=True) if not (no and yes)]
        listed = [f"{name} no {no} yes {yes}" for name, (no, yes) in zip(target.outputs, counts, strict=True)]
        what = "not both answers of output"
    else:
        of_class = counts.reshape(-1, len(target.classes)).sum(axis=0)
        short = [name for name, n in zip(target.classes, of_class, strict=True) if not n]
        listed = [f"{name} {n}" for name, n in zip(target.classes, of_class, strict=True)]
        what = "no window of class"
    if short:
        raise SplitError(
            f"{where}: {what} {', '.join(map(repr, short))} (windows: {', '.join(listed)}); add persons who have "
            "it, split otherwise (split.salt, split.stratify_by), or take it out of the task (left_out, classes)"
        )
    if target.kind == "multioutput":
        _log_absent(target, counts, where)


def _column(target: TargetSpec) -> str:
    assert target.kind != "unlabelled", "an answer is asked"
    return _COLUMN.get(target.kind) or ("targets" if len(target.outputs) > 1 else "target")


def _class_numbers(labels: "pd.Series[str]", target: TargetSpec, where: str) -> Ints:
    known = labels.notna().to_numpy(dtype=bool)
    number_of = {name: number for number, name in enumerate(target.classes)}
    numbers = labels.map(number_of)
    strange = labels[known & numbers.isna().to_numpy(dtype=bool)]
    if len(strange):
        named = ", ".join(f"{value!r} {n}" for value, n in strange.value_counts().sort_index().items())
        raise SplitError(
            f"{where}: {len(strange)} of {len(labels)} rows of windows have a label that is no class of the task "
            f"({named}); classes: {', '.join(target.classes)}; cut the windows again"
        )
    return np.asarray(numbers.fillna(-1), dtype=np.int64)


def _numbers(values: "pd.Series[float]", target: TargetSpec, where: str) -> Truths:
    """(W, K) numbers: float32, or int64 for numbers of classes."""
    n_outputs = max(len(target.outputs), 1)
    table = _stacked(values, n_outputs, where)
    allowed = np.isnan(table) | (np.abs(table) <= np.finfo(np.float32).max)
    what = "finite numbers"
    if target.kind in ("multilabel", "multioutput"):
        n_classes = 2 if target.kind == "multilabel" else len(target.classes)
        allowed = np.isnan(table) | np.isin(table, np.arange(n_classes))
        what = "0 and 1" if target.kind == "multilabel" else f"the numbers of classes, 0 to {n_classes - 1}"
    if not allowed.all():
        row, output = np.argwhere(~allowed)[0]
        which = f" of output {target.outputs[output]!r}" if target.outputs else ""
        raise SplitError(
            f"{where}: {int((~allowed).any(axis=1).sum())} of {len(table)} rows of windows have an answer that the "
            f"task does not have (first: {table[row, output]:g}{which}); allowed: {what}; correct the labels"
        )
    if target.kind == "multioutput":
        return np.where(np.isnan(table), -1, table).astype(np.int64)
    return table.astype(np.float32)


def _stacked(values: "pd.Series[float]", n_outputs: int, where: str) -> NDArray[np.float64]:
    if values.dtype != object:
        return np.asarray(values, dtype=np.float64)[:, None]
    unknown = np.full(n_outputs, np.nan)
    rows = [unknown if value is None or np.ndim(value) == 0 else np.asarray(value, np.float64) for value in values]
    lengths = {len(row) for row in rows}
    if lengths != {n_outputs}:
        raise SplitError(
            f"{where}: windows have {sorted(lengths - {n_outputs})[0]} answers each, the task asks for {n_outputs}; "
            "cut the windows again"
        )
    return np.stack(rows).astype(np.float64)


def _refuse_constant(target: TargetSpec, truths: Truths, where: str) -> None:
    for name, column in zip(target.outputs or ("",), truths.T, strict=True):
        known = column[~np.isnan(column)]
        if len(known) and (known != known[0]).any():
            continue
        of = f" of output {name!r}" if name else ""
        found = f"is {known[0]:.6g} everywhere" if len(known) else "is unknown everywhere"
        raise SplitError(
            f"{where}: the number{of} {found} ({len(known)} of {len(column)} rows of windows are known), so nothing "
            "can be learnt; add persons, or ask for another number"
        )


def _log_absent(target: TargetSpec, counts: Ints, where: str) -> None:
    absent = [
        f"{output}: {', '.join(name for name, n in zip(target.classes, row, strict=True) if not n)}"
        for output, row in zip(target.outputs, counts, strict=True)
        if not row.all()
    ]
    if absent:
        shown = "; ".join([*absent[:_N_LISTED], *(["…"] if len(absent) > _N_LISTED else [])])
        logger.warning("%s: %d of %d outputs lack classes (%s)", where, len(absent), len(counts), shown)
