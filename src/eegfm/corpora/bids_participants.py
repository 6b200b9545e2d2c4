"""``participants.tsv`` and ``participants.json`` of BIDS: age, sex and other columns of persons.

Published tables name and code these columns in many ways. Unambiguous values are taken. Values that are not understood
are left out, with a flag on the person's recordings and a line in the log.
"""

import logging
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from eegfm.corpora.bids_sidecars import read_json
from eegfm.corpora.label_rows import LabelRows, read_label_rows, refuse_doubtful
from eegfm.corpora.side_file_limits import is_there
from eegfm.corpora.text_tables import is_missing
from eegfm.errors import EegfmError
from eegfm.signal.text import stripped

_log = logging.getLogger(__name__)

AGE_COLUMNS = ("age", "age_years", "age_in_years", "age_yrs")
SEX_COLUMNS = ("sex", "gender")
"""Names with one meaning, in any case and with any signs between their words. The first with a value counts."""
AGE_AS_WRITTEN = "age_as_written"
SEX_AS_WRITTEN = "sex_as_written"
"""Columns with texts that are not understood, each with its line and table."""
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


def read_participants(path: Path) -> LabelRows:
    """Read ``participants.tsv`` as text; ids without ``sub-``. BIDS wants the ids in the first column.

    Raises:
        ValueError: The table cannot be read.
    """
    return read_label_rows(path, "participant_id", id_of=lambda text: text.removeprefix("sub-"), is_key_first=True)


def numbers(rows: LabelRows, column: str) -> list[float]:
    """A column that is asked for, as numbers; NaN for missing values.

    Raises:
        EegfmError: A value is no finite number. The message names the line.
    """
    found, wrong = _numbers(rows, column)
    if wrong:
        at = wrong[0]
        raise EegfmError(
            f"{rows.path}: {column} of {rows.ids[at]} is {rows.table[column].iloc[at]!r} (line {rows.lines[at]}); it "
            "must be a number or n/a, correct it"
        )
    return found


def understood_numbers(rows: LabelRows, column: str | None) -> tuple[list[float], list[str]]:
    """A column that nobody asked for, as numbers; NaN for everything else and for a missing column.

    Returns:
        The numbers, and per id the flag ``number_not_understood:<column>`` or "".
    """
    flags = [""] * len(rows.ids)
    if column is None:
        return [math.nan] * len(rows.ids), flags
    found, wrong = _numbers(rows, column)
    for at in wrong:
        flags[at] = f"number_not_understood:{column}"
    if wrong:
        text, line = rows.table[column].iloc[wrong[0]], rows.lines[wrong[0]]
        _log.warning(
            "%s: %s of %d of %d persons is no number and left out, e.g. %r in line %d; correct the table",
            *(rows.path, column, len(wrong), len(rows.ids), text, line),
        )
    return found, flags


def _numbers(rows: LabelRows, column: str) -> tuple[list[float], list[int]]:
    """The numbers of a column, and the places of texts that are none."""
    texts = rows.table[column].tolist()
    found = [math.nan if text is None else _number(text) for text in texts]
    wrong = [at for at, number in enumerate(found) if number is None]
    return [math.nan if number is None else number for number in found], wrong


def column_of(table: pd.DataFrame, name: str) -> str | None:
    """The column with this name, or else the only column that differs in case alone."""
    same = [column for column in map(str, table) if column.casefold() == name.casefold()]
    return name if name in same else same[0] if len(same) == 1 else None


def persons(rows: LabelRows) -> pd.DataFrame:
    """Age and sex of the persons of a table such as ``participants.tsv``.

    Args:
        rows: The table. The ``.json`` of the same name beside it gives units and codes.

    Returns:
        Columns ``subject``, ``age_years`` (a withheld age ``89+`` is 89), ``sex`` (``M``, ``F`` or "" for anything
        else) and, if there are any, ``label_flags``, separated by blanks: ``age_not_understood``,
        ``sex_not_understood``, ``columns_disagree:age``, ``columns_disagree:sex`` and ``rows_disagree:<column>``. If a
        text is not understood, ``age_as_written`` or ``sex_as_written`` says what and where it is.
    """
    described = _described(rows.path.with_suffix(".json"))
    _say_unknown_units(rows.table, rows.path, described)
    ages = _values(rows, "age", AGE_COLUMNS, lambda text, column: _age(text, _of(described, column)))
    sexes = _values(rows, "sex", SEX_COLUMNS, lambda text, column: _sex(text, _of(described, column)))
    out = pd.DataFrame(
        {"subject": pd.Series(rows.ids, dtype="str"), "age_years": pd.Series(ages.found, dtype="float64")}
    )
    out["sex"] = pd.Series([sex or "" for sex in sexes.found], dtype="str")
    for name, written in ((AGE_AS_WRITTEN, ages.written), (SEX_AS_WRITTEN, sexes.written)):
        if any(written):
            out[name] = pd.Series(written, dtype="str")
    doubtful = rows.flags_of(_columns(rows.table, (*AGE_COLUMNS, *SEX_COLUMNS)))
    return with_flags(out, ages.flags, sexes.flags, doubtful)


def with_columns(labels: pd.DataFrame, rows: LabelRows, wanted: Mapping[str, str]) -> pd.DataFrame:
    """Labels with the columns that are asked for, in the order of the configuration.

    Args:
        labels: One row per row of the table.
        rows: The table.
        wanted: By column, ``"text"`` or ``"number"``. Columns are found in any case.

    Raises:
        EegfmError: A column is missing, is doubtful (see ``refuse_doubtful``), or holds a text in place of a number.
    """
    refuse_doubtful(rows, [name for name in wanted if name in rows.differing])
    columns = {name: column_of(rows.table, name) for name in wanted}
    unknown = [name for name, column in columns.items() if column is None]
    if unknown:
        raise EegfmError(
            f"{rows.path} has no column {', '.join(unknown)}; corpus.labels may name {', '.join(map(str, rows.table))}"
        )
    found = {name: column for name, column in columns.items() if column is not None}
    refuse_doubtful(rows, list(found.values()))
    for name, column in found.items():
        is_number = wanted[name] == "number"
        labels[name] = numbers(rows, column) if is_number else rows.table[column].fillna("").astype("str")
    return labels


def with_flags(labels: pd.DataFrame, *flags: Sequence[str]) -> pd.DataFrame:
    """Labels with more ``label_flags``; the column stands there only if there are any.

    Args:
        labels: One row per person.
        flags: Each with one text per row, "" for none.
    """
    known = labels["label_flags"].tolist() if "label_flags" in labels else [""] * len(labels)
    joined = [" ".join(filter(None, some)) for some in zip(known, *flags, strict=True)]
    return labels.assign(label_flags=pd.Series(joined, dtype="str")) if any(joined) else labels


class _Values(NamedTuple):
    """Contents of a table for one trait: values (None if there is none), flags, and texts that are not understood."""

    found: list[Any]
    flags: list[str]
    written: list[str]


def _values(rows: LabelRows, name: str, columns: Sequence[str], read: Callable[[str, str], Any]) -> _Values:
    """Per person, the first value of columns with one meaning."""
    table, path, nothing = rows.table, rows.path, [""] * len(rows.ids)
    found = _columns(table, columns)
    if not found:
        if any(_plain(column) in columns for column in rows.differing):
            return _Values([None] * len(rows.ids), [f"{name}_not_understood"] * len(rows.ids), nothing)
        return _Values([None] * len(rows.ids), _flags_of_others(table, path, name, columns), nothing)
    values, flags, written, texts = [], [], [], Counter[str]()
    for line, row in zip(rows.lines, table[found].to_dict("records"), strict=True):
        stated = {str(column): text for column, text in row.items() if text is not None}
        known = [value for column, text in stated.items() if (value := read(text, column)) is not None]
        values.append(known[0] if known else None)
        is_unknown = bool(stated) and not known
        written.append(f"{next(iter(stated.values()))!r} in line {line} of {path.name}" if is_unknown else "")
        if is_unknown:
            flags.append(f"{name}_not_understood")
            texts.update(stated.values())
        else:
            flags.append(f"columns_disagree:{name}" if any(_differ(known[0], other) for other in known[1:]) else "")
    n_unknown, n_differ = flags.count(f"{name}_not_understood"), flags.count(f"columns_disagree:{name}")
    if n_unknown:
        some = ", ".join(repr(text) for text, _ in texts.most_common(3))
        _log.warning(
            "%s: %s of %d of %d persons is not understood and left out, e.g. %s; correct the table, or say in %s what "
            "its codes mean",
            *(path, name, n_unknown, len(table), some, path.with_suffix(".json").name),
        )
    if n_differ:
        _log.warning("%s: columns %s differ for %d persons; %s counts", path, " and ".join(found), n_differ, found[0])
    return _Values(values, flags, written)


def _columns(table: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Columns with one of the names, in the order of the names."""
    return [column for name in names for column in map(str, table) if _plain(column) == name]


def _flags_of_others(table: pd.DataFrame, path: Path, name: str, columns: Sequence[str]) -> list[str]:
    """Per person, a flag if only columns with other names, such as ``Age_(months)``, may hold an age or a sex."""
    others = [column for column in table if _may_be(str(column), name)]
    if not others:
        return [""] * len(table)
    _log.warning(
        "%s: no column %s; %s may be one, and is not understood: %s is left out; if it is one, call it %s, and say its "
        "Units or Levels in %s",
        *(path, " or ".join(columns), " and ".join(map(str, others)), name, name, path.with_suffix(".json").name),
    )
    return [f"{name}_not_understood" if said else "" for said in table[others].notna().any(axis=1)]


def _may_be(column: str, name: str) -> bool:
    """True if a column's name begins with such a word, or contains it: ``AgeAtScan``, ``Birth_Sex``."""
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
    try:
        return read_json(path).values if is_there(path) else {}
    except ValueError as error:
        _log.warning("%s; its units and codes are unknown", error)
        return {}


def _of(described: Mapping[str, Any], column: str) -> Mapping[str, Any]:
    """Description of one column, whose name may be spelt in another case."""
    found = next((v for name, v in described.items() if stripped(name).casefold() == column.casefold()), None)
    return found if isinstance(found, Mapping) else {}
