"""Find out what the rows of a configured table of labels are about: persons or files."""

import logging
import re
from collections.abc import Iterable, Sequence
from typing import Literal

import pandas as pd

from eegfm.errors import EegfmError
from eegfm.recording import normalized_subject

_log = logging.getLogger(__name__)

_BEFORE_NUMBER = re.compile(r"^[a-z]*[-_ ]*0*(?=\d+$)")


def matched(
    rows: pd.DataFrame, files: pd.DataFrame, by: Literal["subject", "file", "either"], where: str
) -> tuple[pd.DataFrame, Literal["subject", "path"]]:
    """Rows of labels by person or by path.

    A person is meant by its subject id, in any spelling of ``normalized_subject``. A file is meant by its path inside
    the raw folder or by its name, each with or without its ending.

    Args:
        rows: One row per key, in column ``subject``.
        files: Rows of ``raw_files``.
        by: What the keys are. ``either`` decides: all keys that match something must match the same kind of thing.
        where: Corpus, table and column for messages.

    Returns:
        The rows with column ``subject``, or with column ``path`` in its place; and that column's name.

    Raises:
        EegfmError: No row matches, persons and files both match, a name is that of several files, or several rows are
            about one file.
    """
    used = files[files["excluded"] == ""]
    keys = rows["subject"].tolist()
    meant = _files_meant(keys, used["path"].tolist()) if by != "subject" else {}
    paths = {key: min(found) for key, found in meant.items() if len(found) == 1}
    people = _people(keys, used["subject"].unique()) if by != "file" else set()
    if paths and people and _says_two_things(rows, used, paths):
        raise EegfmError(
            f"{where}: rows match persons and files, e.g. {next(iter(people))} and {next(iter(paths.values()))}; set "
            "corpus.labels.match to subject or to file"
        )
    several = next(((key, sorted(found)) for key, found in meant.items() if len(found) > 1), None)
    if several and not people:
        raise EegfmError(f"{where}: {several[0]!r} is the name of {' and '.join(several[1][:2])}; give paths")
    if not paths and not people:
        raise EegfmError(_nothing(keys, used, by, where))
    is_path = not people
    n_files = (
        len(set(paths.values()))
        if is_path
        else int(used["subject"].map(normalized_subject).isin({normalized_subject(name) for name in people}).sum())
    )
    _log.info(
        "%s: %d of %d rows match %s; %d of %d recordings have a row",
        *(where, len(paths) if is_path else len(people), len(keys), "a file" if is_path else "a person"),
        *(n_files, len(used)),
    )
    if not is_path:
        return rows, "subject"
    twice = pd.Series(paths).loc[lambda found: found.duplicated(keep=False)]
    if len(twice):
        raise EegfmError(f"{where}: {' and '.join(map(repr, twice.index[:2]))} are the same file; keep one row")
    by_path = rows.assign(path=[paths.get(key, key) for key in keys])
    return by_path.drop(columns="subject"), "path"


def _people(keys: Iterable[str], subjects: Iterable[str]) -> set[str]:
    known = {normalized_subject(subject) for subject in subjects}
    return {key for key in keys if normalized_subject(key) in known}


def _files_meant(keys: Iterable[str], paths: Sequence[str]) -> dict[str, set[str]]:
    """Paths of each key that names a file."""
    named: dict[str, set[str]] = {}
    for path in paths:
        name = path.rsplit("/", 1)[-1]
        for text in (path, path.rpartition(".")[0], name, name.rpartition(".")[0]):
            named.setdefault(text, set()).add(path)
    plain = {key: key.replace("\\", "/").removeprefix("./") for key in keys}
    return {key: named[text] for key, text in plain.items() if text in named}


def _says_two_things(rows: pd.DataFrame, used: pd.DataFrame, paths: dict[str, str]) -> bool:
    """True if it matters if keys are taken for persons or for files."""
    row_of = {normalized_subject(key): key for key in rows["subject"]}
    by_person = {
        path: row_of.get(normalized_subject(subject))
        for path, subject in zip(used["path"], used["subject"], strict=True)
    }
    by_file = {path: key for key, path in paths.items()}
    return any(by_file.get(path) != key for path, key in by_person.items())


def _nothing(keys: Sequence[str], used: pd.DataFrame, by: str, where: str) -> str:
    subjects, names = used["subject"].unique().tolist(), used["path"].tolist()
    wanted = {"subject": "persons", "file": "files", "either": "persons or files"}[by]
    there = "; ".join(
        f"{what} are {_some(texts)}" for what, texts in (("persons", subjects), ("files", names)) if what in wanted
    )
    return f"{where}: none of {len(keys)} rows matches ({_some(keys)}); {there}{respelt(keys, subjects)}"


def respelt(keys: Iterable[str], subjects: Iterable[str]) -> str:
    """Hint for ids that differ in letters before a number or in leading zeros; "" if there are none."""
    by_core = {_core(subject): subject for subject in subjects}
    pair = next(((key, by_core[_core(key)]) for key in keys if by_core.get(_core(key), key) != key), None)
    return f"; if {pair[0]!r} is {pair[1]!r}, write it like that in the table" if pair else ""


def _core(name: str) -> str:
    return _BEFORE_NUMBER.sub("", name.casefold())


def _some(names: Sequence[str], n_shown: int = 3) -> str:
    return ", ".join([*names[:n_shown], *(["…"] if len(names) > n_shown else [])]) or "none"
