"""Draws of EDF folders with tables of labels. Every draw states its consequence by the rule, not by the program."""

import re
from typing import Any

from fuzz.loose_case import Case, Draw, Rows, marked, written

FILES = {"S1/rest_1.edf": "S1", "S1/task_2.edf": "S1", "S2/rest_3.edf": "S2", "S3/rest_4.edf": "S3"}
PERSONS = {"S1": ("30", "F", "HC", "28"), "S2": ("41.5", "male", "PD", "NA"), "S3": ("50", "f", "PD", "7")}
SEX = {"F": "F", "male": "M", "f": "F"}


def draw_table(number: int) -> Case:
    """Four recordings of three persons, and a table with one row per person or per file."""
    draw = Draw(number)
    name, separator = draw.one(("meta.csv", ","), ("meta.csv", ";"), ("about/meta.tsv", "\t"))
    by = draw.one("subject", "file")
    labels: dict[str, Any] = {"table": name, "key": draw.one("id", "ID")}
    if draw.chance(0.3):
        labels["match"] = by
    if draw.chance(0.4):
        labels["columns"] = {"group": "text", "score": draw.one("number", "text")}
    case = Case(corpus={"name": "edf_folder", "pattern": "{subject}/{task}_{run}.edf", "labels": labels}, recordings=())
    case.recordings = tuple(FILES)
    keys = {key: key for key in PERSONS} if by == "subject" else FILES
    spelt = {key: _spelt(key, by, draw) for key in keys}
    rows: Rows = [["id", "age", "sex", "group", "score"], *([spelt[key], *PERSONS[who]] for key, who in keys.items())]
    left_out = draw.one(*keys) if draw.chance(0.25) else None
    others = [[draw.one("S9", "other.edf"), "60", "M", "PD", "5"]] if draw.chance(0.3) else []
    rows = [rows[0], *(row for key, row in zip(keys, rows[1:], strict=True) if key != left_out), *others]
    kind = draw.one(*("plain",) * 6, *("age", "two rows", "two rows alike", "column twice", "odd line", "no match"))
    case.done += [f"by {by}", kind, f"{left_out} is left out"]
    age_missing: set[str] = set()
    if kind == "age":
        rows[1][1] = "18-38"
        age_missing = {next(key for key in keys if key != left_out)}
    elif kind.startswith("two rows"):
        rows.append([*rows[1]])
        if kind == "two rows":
            rows[-1][3] = "XX"
            case.error = rf"group of {re.escape(rows[1][0])} is '\w\w' in line \d+ and 'XX' in line \d+"
    elif kind == "column twice":
        rows = [[*row, extra] for row, extra in zip(rows, ("group", *"abcdefghij"), strict=False)]
        if "columns" in labels:
            case.error = r"column group stands twice, and its values differ in line \d"
    elif kind == "no match":
        rows = [rows[0], *([f"X{k}", *row[1:]] for k, row in enumerate(rows[1:]))]
        case.error = rf"column '{labels['key']}': none of {len(rows) - 1} rows matches"
    lines = [["S1", "30"]] if kind == "odd line" else []
    if lines:
        case.error = r"line \d+ has another number of fields"
    content, is_utf8 = written([*marked(rows, draw), *lines], draw, separator)
    case.files[name] = content
    n_rows, n_known = len(rows) - 1 - (kind == "two rows alike"), len(keys) - (left_out is not None)
    for path, person in FILES.items():
        key = person if by == "subject" else path
        age, sex, group, score = PERSONS[person]
        is_number = labels.get("columns", {"score": "number"})["score"] == "number"
        value: Any = (None if score == "NA" else float(score)) if is_number else score
        found: dict[str, Any] = {"age_years": float(age), "sex": SEX[sex], "group": group, "score": value}
        if kind == "column twice":
            del found["group"]
        flags = set() if is_utf8 else {f"side_file_not_utf8:{name.rsplit('/', 1)[-1]}"}
        if key in age_missing:
            found["age_years"] = None
            flags.add("age_not_understood")
        if key == left_out:
            found, flags = dict.fromkeys(found), {f"not_in_{name}:{n_known}_of_{n_rows}"}
        case.columns[path], case.flags[path] = found, flags
    return case


def _spelt(key: str, by: str, draw: Draw) -> str:
    if by == "subject":
        return str(draw.one(key, key, key.lower(), f"sub-{key}"))
    name = key.rsplit("/", 1)[-1]
    return str(
        draw.one(key, key.removesuffix(".edf"), name, name.removesuffix(".edf"), f"./{key}", key.replace("/", "\\"))
    )
