"""``participants.tsv`` and ``participants.json`` of BIDS: age, sex and other columns of persons.

Published tables name and code these columns in many ways. Unambiguous values are taken. Values that are not understood
are left out, with a flag on the person's recordings and a line in the log.
"""

import logging
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from eegfm.corpora.bids_sidecars import read_json
from eegfm.corpora.side_file_limits import is_there
from eegfm.corpora.text_tables import is_missing, read_table
from eegfm.errors import EegfmError, RecordingError
from eegfm.signal.text import stripped

_log = logging.getLogger(__name__)

AGE_COLUMNS = ("age", "age_years", "age_in_years", "age_yrs")
SEX_COLUMNS = ("sex", "gender")
"""Names with one meaning, in any case and with any signs between their words. The first with a value counts."""
MAX_AGE_YEARS = 120.0
"""Largest age in years. Higher numbers are codes, or have other units."""
_YEARS_PER_UNIT = {"y": 1.0, "m": 1 / 12, "w": 7 / 365.25, "d": 1 / 365.25}
_UNIT = re.compile(r"\b(?:y(?:ears?|rs?)?|mo(?:nths?)?|w(?:eeks?|ks?)?|d(?:ays?)?)\b")
_NO_UNITS = frozenset({"integer", "int", "float", "number", "numeric", "decimal"})
"""Texts that published tables write under ``Units`` although they are no units."""
_WORDS = {"age": ("age", "ages"), "sex": ("sex", "gender")}
"""Words that show the subject of a column with another name."""
_SEXES = {
    "M": frozenset({"m", "male", "man", "boy"}),
    "F": frozenset({"f", "female", "woman", "girl"}),
    "": frozenset({"o", "other", "x", "unknown", "intersex", "non-binary", "nonbinary"}),
}


def read_participants(path: Path) -> pd.DataFrame:
    """Read ``participants.tsv`` as text, missing values as None, with a column ``subject`` without ``sub-``.

    Raises:
        EegfmError: The table cannot be read, or names a participant twice.
    """
    try:
        rows = read_table(path, ["participant_id"])
        if not rows:
            raise ValueError("it names nobody")
        table = pd.DataFrame(rows, dtype="object")
        if table["participant_id"].isna().any():
            raise ValueError("a line without a participant")
        table["subject"] = table["participant_id"].str.removeprefix("sub-")
    except ValueError as error:
        raise EegfmError(f"{path}: not readable as a BIDS table of participants ({error}); correct it") from error
    twice = table.loc[table["subject"].duplicated(), "subject"]
    if len(twice):
        raise EegfmError(f"{path}: participant {twice.iloc[0]} is listed twice; keep one row per participant")
    return table


def numbers(table: pd.DataFrame, column: str | None, path: Path) -> list[float]:
    """A column of ``participants.tsv`` as numbers; NaN for missing values and for a missing column.

    Raises:
        EegfmError: A value is no finite number.
    """
    texts: Iterable[str | None] = table[column] if column in table else [None] * len(table)
    out = []
    for subject, text in zip(table["subject"], texts, strict=True):
        number = math.nan if text is None else _number(text)
        if number is None:
            raise EegfmError(
                f"{path}: not readable as a BIDS table of participants ({column} of {subject} is {text!r}); "
                "it must be a number or n/a, correct it"
            )
        out.append(number)
    return out


def column_of(table: pd.DataFrame, name: str) -> str | None:
    """The column with this name, or else the only column that differs in case alone."""
    same = [column for column in map(str, table) if column.casefold() == name.casefold()]
    return name if name in same else same[0] if len(same) == 1 else None


def persons(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Age and sex of the persons of ``participants.tsv``.

    Args:
        table: Table from ``read_participants``.
        path: Path of the table. ``participants.json`` beside it gives units and codes.

    Returns:
        Columns ``subject``, ``age_years`` (a withheld age ``89+`` is 89), ``sex`` (``M``, ``F`` or "" for anything
        else) and, if there are any, ``label_flags``, separated by blanks: ``age_not_understood``,
        ``sex_not_understood``, ``columns_disagree:age`` and ``columns_disagree:sex``.
    """
    described = _described(path.with_suffix(".json"))
    _say_unknown_units(table, path, described)
    ages, age_flags = _values(table, path, "age", AGE_COLUMNS, lambda text, column: _age(text, _of(described, column)))
    sexes, sex_flags = _values(table, path, "sex", SEX_COLUMNS, lambda text, column: _sex(text, _of(described, column)))
    out = pd.DataFrame({"subject": table["subject"].astype("str"), "age_years": pd.Series(ages, dtype="float64")})
    out["sex"] = pd.Series([sex or "" for sex in sexes], dtype="str")
    flags = [" ".join(filter(None, both)) for both in zip(age_flags, sex_flags, strict=True)]
    return out.assign(label_flags=pd.Series(flags, dtype="str")) if any(flags) else out


def _values(
    table: pd.DataFrame, path: Path, name: str, columns: Sequence[str], read: Callable[[str, str], Any]
) -> tuple[list[Any], list[str]]:
    """Per person, the first value of columns with one meaning (None if there is none), and a flag or ""."""
    found = _columns(table, columns)
    if not found:
        return [None] * len(table), _flags_of_others(table, path, name, columns)
    values, flags, texts = [], [], Counter[str]()
    for row in table[found].to_dict("records"):
        stated = {str(column): text for column, text in row.items() if text is not None}
        known = [value for column, text in stated.items() if (value := read(text, column)) is not None]
        values.append(known[0] if known else None)
        if stated and not known:
            flags.append(f"{name}_not_understood")
            texts.update(stated.values())
        else:
            flags.append(f"columns_disagree:{name}" if any(_differ(known[0], other) for other in known[1:]) else "")
    n_unknown, n_differ = flags.count(f"{name}_not_understood"), flags.count(f"columns_disagree:{name}")
    if n_unknown:
        some = ", ".join(repr(text) for text, _ in texts.most_common(3))
        _log.warning(
            "%s: %s of %d of %d persons is not understood and left out, e.g. %s; correct the table, or say in "
            "participants.json what its codes mean",
            *(path, name, n_unknown, len(table), some),
        )
    if n_differ:
        _log.warning("%s: columns %s differ for %d persons; %s counts", path, " and ".join(found), n_differ, found[0])
    return values, flags


def _columns(table: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Columns with one of the names, in the order of the names."""
    return [column for name in names for column in map(str, table) if _plain(column) == name]


def _flags_of_others(table: pd.DataFrame, path: Path, name: str, columns: Sequence[str]) -> list[str]:
    """Per person, a flag if only columns with other names, such as ``Age_(months)``, may hold an age or a sex."""
    others = [column for column in table if column != "subject" and _may_be(str(column), name)]
    if not others:
        return [""] * len(table)
    _log.warning(
        "%s: no column %s; %s may be one, and is not understood: %s is left out; if it is one, call it %s, and say its "
        "Units or Levels in participants.json",
        *(path, " or ".join(columns), " and ".join(map(str, others)), name, name),
    )
    return [f"{name}_not_understood" if said else "" for said in table[others].notna().any(axis=1)]


def _may_be(column: str, name: str) -> bool:
    """Whether a column's name begins with such a word, or contains it: ``AgeAtScan``, ``Birth_Sex``."""
    words = _plain(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column)).split("_")
    return any(word in words or column.casefold().startswith(word) for word in _WORDS[name])


def _say_unknown_units(table: pd.DataFrame, path: Path, described: Mapping[str, Any]) -> None:
    for column in _columns(table, AGE_COLUMNS):
        said = _of(described, column)
        if _years_per_unit(said) is None:
            _log.warning(
                "%s: Units of %s is %r; its ages are left out; write years, months, weeks or days",
                *(path.with_suffix(".json"), column, said["Units"]),
            )


def _differ(value: Any, other: Any) -> bool:
    """Ages may be rounded."""
    return bool(abs(value - other) >= 1) if isinstance(value, float) else value != other


def _age(text: str, described: Mapping[str, Any]) -> float | None:
    """Years; None for a value that is no age."""
    number, years_per_unit = _number(text), _years_per_unit(described)
    if number is None or years_per_unit is None:
        return None
    years = number * years_per_unit
    return years if 0 <= years <= MAX_AGE_YEARS else None


def _years_per_unit(described: Mapping[str, Any]) -> float | None:
    """Years per unit of a column: 1 by default; None for units that are not understood."""
    text = described.get("Units")
    if not isinstance(text, str) or is_missing(text) or stripped(text).casefold() in _NO_UNITS:
        return 1.0
    units = {unit[0] for unit in _UNIT.findall(text.casefold())}
    return _YEARS_PER_UNIT[units.pop()] if len(units) == 1 else None


def _sex(text: str, described: Mapping[str, Any]) -> str | None:
    """``M``, ``F``, or "" for neither; None for an unexplained code."""
    levels = described.get("Levels")
    meanings = {stripped(str(k)).casefold(): v for k, v in levels.items()} if isinstance(levels, Mapping) else {}
    meaning = meanings.get(text.casefold(), "")
    explained = str(meaning.get("Description", "")) if isinstance(meaning, Mapping) else str(meaning)
    for words in ({text.casefold()}, set(re.findall(r"[\w-]+", explained.casefold()))):
        found = [sex for sex, names in _SEXES.items() if words & names]
        if len(found) == 1:
            return found[0]
    return None


def _number(text: str) -> float | None:
    """A finite number, which may be a lower bound such as ``89+``."""
    try:
        number = float(text.removesuffix("+"))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _plain(column: str) -> str:
    """A name of a column in lower case, its words joined by one underscore: ``Age (years)`` is ``age_years``."""
    return "_".join(re.findall(r"[^\W_]+", column.casefold()))


def _described(path: Path) -> Mapping[str, Any]:
    """``participants.json``; empty if it is missing or cannot be read."""
    if not is_there(path):
        return {}
    try:
        return read_json(path)
    except RecordingError as error:
        _log.warning("%s; its units and codes are unknown", error.reason)
        return {}


def _of(described: Mapping[str, Any], column: str) -> Mapping[str, Any]:
    """Description of one column, whose name may be spelt in another case."""
    found = next((v for name, v in described.items() if stripped(name).casefold() == column.casefold()), None)
    return found if isinstance(found, Mapping) else {}
