"""A table of labels beside EDF or BDF files: one row per person or per file, named by the configuration."""

import logging
import re
from pathlib import Path

import pandas as pd

from eegfm.corpora.base import RECORDING_COLUMNS
from eegfm.corpora.bids_participants import AGE_AS_WRITTEN, SEX_AS_WRITTEN, persons, with_columns
from eegfm.corpora.config import LabelTable
from eegfm.corpora.label_join import Labels
from eegfm.corpora.label_rows import LabelRows, read_label_rows, refuse_doubtful, say_faults
from eegfm.corpora.side_file_limits import is_there
from eegfm.corpora.text_files import decode_file
from eegfm.corpora.text_tables import TAB
from eegfm.errors import EegfmError

_log = logging.getLogger(__name__)

_OWN_COLUMNS = RECORDING_COLUMNS | {"age_years", "sex", AGE_AS_WRITTEN, SEX_AS_WRITTEN}
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
"""A number that is no code: ``007`` and ``1_000`` are texts."""
_NO_NUMBER = frozenset({"na", "nan"})
"""What R and pandas write for a missing number."""


def read_labels(root: Path, config: LabelTable) -> Labels:
    """Read the labels of a folder. Age and sex are understood as in ``participants.tsv``, see ``persons``.

    Args:
        root: The raw folder.
        config: Where the table is, and which of its columns are labels.

    Raises:
        EegfmError: The table is missing or cannot be read, a column is missing or has a reserved name, or a label is
            doubtful (see ``refuse_doubtful``).
    """
    path = root / config.table
    if not is_there(path):
        raise EegfmError(f"{path} does not exist; corpus.labels.table is a path inside the raw folder")
    try:
        rows = read_label_rows(path, config.key, _separator(path))
    except ValueError as error:
        raise EegfmError(
            f"{path}: not readable as a table of labels ({error}); corpus.labels.key names the column with persons or "
            "files"
        ) from error
    hidden = [name for name in config.columns if name in _OWN_COLUMNS]
    if hidden:
        raise EegfmError(f"corpus.labels.columns names {', '.join(hidden)}, which mean something else; leave them out")
    wanted = dict(config.columns) or _all_columns(rows)
    refuse_doubtful(rows, list(config.columns or map(str, rows.table)))
    if not rows.ids:
        raise EegfmError(f"{path} has no row; corpus.labels are its columns")
    say_faults(rows)
    numbers = [name for name, kind in wanted.items() if kind == "number"]
    labels = with_columns(persons(rows), _without_words_for_none(rows, numbers), wanted)
    return Labels(labels, config.table, by=config.match or "either", key=config.key, flags=rows.flags)


def _separator(path: Path) -> str:
    """Tab in ``.tsv``; in ``.csv`` comma, or semicolon if the first line has no comma and a semicolon."""
    if path.suffix.lower() == ".tsv":
        return TAB
    header = decode_file(path).text.partition("\n")[0]
    return ";" if ";" in header and "," not in header else ","


def _all_columns(rows: LabelRows) -> dict[str, str]:
    """All columns with their kinds. A column is a number if all its values are."""
    columns = list(map(str, rows.table))
    reserved = [name for name in columns if name in _OWN_COLUMNS - {"age_years", "sex"}]
    if reserved:
        _log.warning(
            "%s: columns %s are no labels, because recordings have columns of these names with another meaning; "
            "rename them",
            *(rows.path, ", ".join(reserved)),
        )
    return {name: "number" if _is_number(rows, name) else "text" for name in columns if name not in _OWN_COLUMNS}


def _is_number(rows: LabelRows, column: str) -> bool:
    texts = [text for text in rows.table[column] if text is not None and text.casefold() not in _NO_NUMBER]
    return bool(texts) and all(_NUMBER.fullmatch(text) for text in texts)


def _without_words_for_none(rows: LabelRows, columns: list[str]) -> LabelRows:
    """Rows in which numbers that are written ``NA`` or ``nan`` are missing."""
    table = rows.table.copy()
    found = {name for name in table if str(name).casefold() in {column.casefold() for column in columns}}
    for name in found:
        texts = [None if text is None or text.casefold() in _NO_NUMBER else text for text in table[name]]
        table[name] = pd.Series(texts, index=table.index, dtype="object")
    return rows._replace(table=table)
