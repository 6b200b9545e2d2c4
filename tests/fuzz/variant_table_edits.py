"""Edits of text tables: blanks, spellings, encodings, values."""

from collections.abc import Callable

import numpy as np

from fuzz.variant_files import Sheet, Variant
from fuzz.variant_truth import ELECTRODES, Person

BLANKS = (" ", "  ", "\u00a0", "\u200b", "\u2009")
SEXES = {"F": ("female", "Female", "f", "FEMALE", "woman", "w", "2"), "M": ("male", "Male", "m", "MALE", "man", "1")}
MISSING = ("n/a", "N/A", "", " n/a ", "NaN", "NA", "-", "unknown")


def pick(variant: Variant, rng: np.random.Generator, ending: str = ".tsv") -> str:
    """One of the tables whose name ends so; "" where there is none."""
    paths = sorted(path for path in variant.sheets if path.endswith(ending))
    return paths[int(rng.integers(len(paths)))] if paths else ""


def padded_cells(variant: Variant, rng: np.random.Generator) -> str:
    """Blanks around some cells."""
    path = pick(variant, rng)
    if not path:
        return ""
    blank = str(rng.choice(BLANKS))
    for row in variant.sheets[path].rows[1:]:
        for k, cell in enumerate(row):
            if rng.random() < 0.4:
                row[k] = str(rng.choice([cell + blank, blank + cell, blank + cell + blank]))
    return f"{blank!r} around cells of {path}"


def padded_header(variant: Variant, rng: np.random.Generator) -> str:
    """Blanks around the names of columns."""
    path = pick(variant, rng)
    if not path:
        return ""
    blank, header = str(rng.choice(BLANKS)), variant.sheets[path].rows[0]
    header[:] = [f"{name}{blank}" if rng.random() < 0.6 else name for name in header]
    return f"{blank!r} behind names of {path}"


def case_of_header(variant: Variant, rng: np.random.Generator) -> str:
    """Names of columns in another case."""
    path = pick(variant, rng)
    if not path:
        return ""
    change = [str.upper, str.title, str.capitalize][int(rng.integers(3))]
    header = variant.sheets[path].rows[0]
    header[:] = [change(name) for name in header]
    return f"header of {path}: {header}"


def line_ends(variant: Variant, rng: np.random.Generator) -> str:
    """Lines that end as on another system, or twice, or not at all."""
    path = pick(variant, rng)
    if not path:
        return ""
    sheet = variant.sheets[path]
    sheet.newline, sheet.tail = str(rng.choice(["\r\n", "\r", "\n"])), str(rng.choice(["", "\n", "\n\n\n", "\n\t\n"]))
    return f"{path} with {sheet.newline!r}, last {sheet.tail!r}"


def encoding(variant: Variant, rng: np.random.Generator) -> str:
    """Another encoding, with letters that differ in it."""
    path = pick(variant, rng)
    if not path:
        return ""
    sheet, kind = variant.sheets[path], str(rng.choice(["utf-8-sig", "latin-1", "utf-16", "utf-16-le", "utf-8"]))
    sheet.rows[0].append("site")
    for row in sheet.rows[1:]:
        row.append("Z\u00fcrich")
    if kind == "latin-1":
        for row in sheet.rows:
            row[:] = [cell.encode("latin-1", "ignore").decode("latin-1") for cell in row]
    sheet.encoding = kind
    return f"{path} in {kind}"


def gender(variant: Variant, rng: np.random.Generator) -> str:
    """``gender`` in place of ``sex``."""
    return _renamed_column(variant, "participants.tsv", "sex", str(rng.choice(["gender", "Gender", " GENDER"])))


def other_ids(variant: Variant, rng: np.random.Generator) -> str:
    """Participants under other ids than those of the folders."""
    sheet = variant.sheets.get("participants.tsv")
    if sheet is None or sheet.column("participant_id") < 0 or len(sheet.rows) != len(variant.truth.persons) + 1:
        return ""
    at, kind = sheet.column("participant_id"), int(rng.integers(5))
    changes = [
        lambda cell: cell.replace("sub-0", "sub-"),
        lambda cell: cell.replace("sub-0", "sub-00"),
        lambda cell: cell.replace("sub-", ""),
        lambda cell: cell.replace("sub-", "SUB-"),
        lambda cell: cell.replace("sub-", "s"),
    ]
    chosen = sheet.rows[1:] if rng.random() < 0.6 else sheet.rows[1:2]
    for row in chosen:
        row[at] = changes[kind](row[at])
    return f"participants {[row[at] for row in sheet.rows[1:]]}"


def missing_values(variant: Variant, rng: np.random.Generator) -> str:
    """An age or a sex that is not known."""
    sheet = variant.sheets.get("participants.tsv")
    column = str(rng.choice(["age", "sex"]))
    person = variant.truth.persons[0]
    row = _row_of(sheet, person)
    if sheet is None or row is None or sheet.column(column) < 0:
        return ""
    row[sheet.column(column)] = text = str(rng.choice(MISSING))
    if column == "age":
        person.age = None
    else:
        person.sex = ""
    return f"{column} of {person.subject} is {text!r}"


def spelled_sex(variant: Variant, rng: np.random.Generator) -> str:
    """Sexes in other words."""
    sheet = variant.sheets.get("participants.tsv")
    if sheet is None or sheet.column("sex") < 0:
        return ""
    at, words = sheet.column("sex"), {key: str(rng.choice(options)) for key, options in SEXES.items()}
    for row in sheet.rows[1:]:
        row[at] = words.get(row[at].strip(), row[at])
    return f"sexes are written {words}"


def spelled_age(variant: Variant, rng: np.random.Generator) -> str:
    """Ages with units, in ranges, with a comma."""
    sheet = variant.sheets.get("participants.tsv")
    person = variant.truth.persons[-1]
    row = _row_of(sheet, person)
    if sheet is None or row is None or sheet.column("age") < 0 or person.age is None:
        return ""
    years = f"{person.age:g}"
    texts = [
        f"{years}.0",
        f"{years},5",
        f"{years} years",
        f"P{years}Y",
        f"{years}-{person.age + 4:g}",
        "89+",
        f"{years}y",
    ]
    text = str(rng.choice(texts))
    row[sheet.column("age")] = text
    if text == "89+":
        person.age = 89.0
    elif text.endswith(",5"):
        person.age += 0.5
    elif "-" in text:
        person.age = None  # a range is no age: nothing, or an error
    return f"age of {person.subject} is {text!r}"


def separator(variant: Variant, rng: np.random.Generator) -> str:
    """Commas or semicolons in place of tabs."""
    path = pick(variant, rng)
    if not path:
        return ""
    variant.sheets[path].separator = str(rng.choice([",", ";", " "]))
    return f"{path} with {variant.sheets[path].separator!r}"


def repeated_person(variant: Variant, rng: np.random.Generator) -> str:
    """A participant who stands there twice."""
    sheet = variant.sheets.get("participants.tsv")
    if sheet is None or any(edit.startswith("other_ids") for edit in variant.edits):
        return ""
    sheet.rows.append([*sheet.rows[1]])
    if rng.random() < 0.5 and sheet.column("age") >= 0:
        sheet.rows[-1][sheet.column("age")] = "7"
    return "a participant twice"


def order_of_rows(variant: Variant, rng: np.random.Generator) -> str:
    """Rows and columns in another order."""
    path = pick(variant, rng)
    if not path:
        return ""
    sheet = variant.sheets[path]
    rows, columns = rng.permutation(len(sheet.rows) - 1), rng.permutation(len(sheet.rows[0]))
    sheet.rows = [sheet.rows[0], *(sheet.rows[1 + k] for k in rows)]
    if len({len(row) for row in sheet.rows}) == 1 and not path.endswith("_channels.tsv"):
        sheet.rows = [[row[k] for k in columns] for row in sheet.rows]
    return f"order of {path}"


def trigger_codes(variant: Variant, rng: np.random.Generator) -> str:
    """A column of numbers beside the words, or numbers that are not known."""
    sheet = variant.sheets.get(pick(variant, rng, "_events.tsv"))
    if sheet is None or sheet.column("value") >= 0:
        return ""
    sheet.rows[0].append("value")
    for k, row in enumerate(sheet.rows[1:]):
        row.append(str(rng.choice([str(k % 3 + 1), "n/a"])))
    return "events have trigger codes too"


def value_column(variant: Variant, rng: np.random.Generator) -> str:
    """``value`` in place of ``trial_type``."""
    return _renamed_column(variant, pick(variant, rng, "_events.tsv"), "trial_type", "value")


def onset_text(variant: Variant, rng: np.random.Generator) -> str:
    """An onset with a comma, missing, or in exponential notation."""
    path = pick(variant, rng, "_events.tsv")
    sheet = variant.sheets.get(path)
    if sheet is None or sheet.column("onset") < 0 or len(sheet.rows) < 3:
        return ""
    row, at = sheet.rows[2], sheet.column("onset")
    kind = int(rng.integers(3))
    try:
        row[at] = [row[at].replace(".", ","), "n/a", f"{float(row[at]):e}"][kind]
    except ValueError:
        return ""
    return f"an onset of {path} is {row[at]!r}"


def event_out_of_range(variant: Variant, rng: np.random.Generator) -> str:
    """An event before the recording or behind it, as where a file was cut."""
    path = pick(variant, rng, "_events.tsv")
    sheet = variant.sheets.get(path)
    if sheet is None or sheet.column("onset") != 0 or len(sheet.rows) < 3:
        return ""
    row = [*sheet.rows[1]]
    row[0] = str(rng.choice(["999.5", "-3", "1e9"]))
    sheet.rows.append(row)
    return f"an event of {path} at {row[0]} s"


def quotes(variant: Variant, rng: np.random.Generator) -> str:
    """Cells in double quotes."""
    path = pick(variant, rng)
    if not path:
        return ""
    sheet = variant.sheets[path]
    which = slice(0, None) if rng.random() < 0.5 else slice(1, None)
    for row in sheet.rows[which]:
        row[:] = [f'"{cell}"' for cell in row]
    return f"{path} in quotes"


def bad_channel(variant: Variant, rng: np.random.Generator) -> str:
    """A channel that the table calls bad, in several spellings."""
    path = pick(variant, rng, "_channels.tsv")
    if not path:
        return ""
    sheet = variant.sheets[path]
    if sheet.column("status") < 0:
        return ""
    files = [f for p, f in variant.signals.items() if p.startswith(path.removesuffix("_channels.tsv"))]
    if not files or len(sheet.rows) != len(files[0].labels) + 1:
        return ""
    k = int(rng.integers(len(ELECTRODES)))
    sheet.rows[1 + k][sheet.column("status")] = text = str(rng.choice(["bad", "Bad", "bad ", "BAD", " bad"]))
    files[0].take.bad_channels.add(ELECTRODES[k])
    return f"{ELECTRODES[k]} of {path} is {text!r}"


def _row_of(sheet: Sheet | None, person: Person) -> list[str] | None:
    """The row of a participant; None where several or none can be meant."""
    if sheet is None or (at := sheet.column("participant_id")) < 0:
        return None
    found = [row for row in sheet.rows[1:] if row[at].strip().strip('"') == f"sub-{person.subject}"]
    return found[0] if len(found) == 1 else None


def _renamed_column(variant: Variant, path: str, old: str, new: str) -> str:
    sheet: Sheet | None = variant.sheets.get(path)
    if sheet is None or sheet.column(old) < 0 or sheet.column(new.strip().casefold()) >= 0:
        return ""
    sheet.rows[0][sheet.column(old)] = new
    return f"{old} of {path} is called {new!r}"


TABLE_EDITS: tuple[Callable[[Variant, np.random.Generator], str], ...] = (
    padded_cells,
    padded_header,
    case_of_header,
    line_ends,
    encoding,
    gender,
    other_ids,
    missing_values,
    spelled_sex,
    spelled_age,
    separator,
    repeated_person,
    order_of_rows,
    trigger_codes,
    value_column,
    onset_text,
    event_out_of_range,
    quotes,
    bad_channel,
)
