"""``participants.tsv`` and ``participants.json`` of BIDS: age, sex and other columns of persons, as they are published.

Published tables name and code them in many ways. What leaves no doubt is taken; what is not understood is left out,
with a flag on the person's recordings and a line in the log.
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
from eegfm.corpora.text_tables import read_table
from eegfm.errors import EegfmError, RecordingError
from eegfm.signal.text import stripped

_log = logging.getLogger(__name__)

AGE_COLUMNS = ("age", "age_years", "age_in_years", "age_yrs")
SEX_COLUMNS = ("sex", "gender")
"""Names that mean the same, in any case and with any signs between their words; the first that has a value counts."""
MAX_AGE_YEARS = 120.0
"""Higher numbers are codes, or other units."""
_YEARS_PER_UNIT = {"y": 1.0, "m": 1 / 12, "w": 7 / 365.25, "d": 1 / 365.25}
_UNIT = re.compile(r"(?:y(?:ears?|rs?)?|mo(?:nths?)?|w(?:eeks?)?|d(?:ays?)?)\b")
_SEXES = {
    "M": frozenset({"m", "male", "man", "boy"}),
    "F": frozenset({"f", "female", "woman", "girl"}),
    "": frozenset({"o", "other", "x", "unknown", "intersex", "non-binary", "nonbinary"}),
}


def read_participants(path: Path) -> pd.DataFrame:
    """``participants.tsv`` as text, missing values as None, with a column ``subject`` that has no ``sub-``.

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
        raise EegfmError(f"{path}: participant {twice.iloc[0]} stands there twice; keep one row per participant")
    return table


def numbers(table: pd.DataFrame, column: str | None, path: Path) -> list[float]:
    """A column of ``participants.tsv`` as numbers, NaN where missing or where there is no such column.

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
    """The column that a name means: itself, or else the only one that differs in case alone."""
    same = [column for column in map(str, table) if column.casefold() == name.casefold()]
    return name if name in same else same[0] if len(same) == 1 else None


def persons(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Age and sex of the persons of ``participants.tsv``.

    Args:
        table: As ``read_participants`` reads it.
        path: Where it lies; what ``participants.json`` beside it says of units and codes counts.

    Returns:
        Columns ``subject``, ``age_years`` (an age that is withheld as ``89+`` is 89), ``sex`` (``M``, ``F`` or "" for
        anything else) and, where there are any, ``label_flags``, separated by blanks: ``age_not_understood``,
        ``sex_not_understood``, ``columns_disagree:age`` and ``columns_disagree:sex``.
    """
    described = _described(path.with_suffix(".json"))
    ages, age_flags = _values(table, path, "age", AGE_COLUMNS, lambda text, column: _age(text, _of(described, column)))
    sexes, sex_flags = _values(table, path, "sex", SEX_COLUMNS, lambda text, column: _sex(text, _of(described, column)))
    out = pd.DataFrame({"subject": table["subject"].astype("str"), "age_years": pd.Series(ages, dtype="float64")})
    out["sex"] = pd.Series([sex or "" for sex in sexes], dtype="str")
    flags = [" ".join(filter(None, both)) for both in zip(age_flags, sex_flags, strict=True)]
    return out.assign(label_flags=pd.Series(flags, dtype="str")) if any(flags) else out


def _values(
    table: pd.DataFrame, path: Path, name: str, columns: Sequence[str], read: Callable[[str, str], Any]
) -> tuple[list[Any], list[str]]:
    """Per person, the first value of all columns that mean the same, None where there is none; and a flag or ""."""
    found = [column for wanted in columns for column in map(str, table) if _plain(column) == wanted]
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


def _differ(value: Any, other: Any) -> bool:
    """Ages may be rounded."""
    return bool(abs(value - other) >= 1) if isinstance(value, float) else value != other


def _age(text: str, described: Mapping[str, Any]) -> float | None:
    """Years; None for what is no age."""
    number = _number(text)
    if number is None:
        return None
    unit = _UNIT.match(stripped(str(described.get("Units", ""))).casefold())
    years = number * (_YEARS_PER_UNIT[unit[0][0]] if unit else 1.0)
    return years if 0 <= years <= MAX_AGE_YEARS else None


def _sex(text: str, described: Mapping[str, Any]) -> str | None:
    """``M``, ``F``, or "" for neither; None for a code that nobody explains."""
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
    """A finite number, also where it is a lower bound as in ``89+``."""
    try:
        number = float(text.removesuffix("+"))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _plain(column: str) -> str:
    """A name of a column in lower case, its words joined by one underscore: ``Age (years)`` is ``age_years``."""
    return "_".join(re.findall(r"[^\W_]+", column.casefold()))


def _described(path: Path) -> Mapping[str, Any]:
    """``participants.json``; nothing where there is none, or none that can be read."""
    if not path.is_file():
        return {}
    try:
        return read_json(path)
    except RecordingError as error:
        _log.warning("%s; what it says of units and codes is not known", error.reason)
        return {}


def _of(described: Mapping[str, Any], column: str) -> Mapping[str, Any]:
    """What is said of one column, whose name may be spelt in another case."""
    found = next((v for name, v in described.items() if stripped(name).casefold() == column.casefold()), None)
    return found if isinstance(found, Mapping) else {}
