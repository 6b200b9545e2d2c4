"""Edits with typical faults of published corpora. Each changes the files and, if needed, the truth."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fuzz.variant_files import Note, SignalFile, Variant
from fuzz.variant_table_edits import TABLE_EDITS, pick
from fuzz.variant_truth import ELECTRODES

Edit = Callable[[Variant, np.random.Generator], str]
"""Changes a variant and says in words what it did; "" where it does not apply."""

BAD_TEXTS = ("BAD_ACQ_SKIP", "BAD_muscle", "bad", "Bad Interval", "BAD blink", "edge artefact")
REFERENCES = {"-LE": "linked_ears", "-AVG": "average", "-REF": "other", "-Ref": "other", "-ref": "other"}


def case_of_suffix(variant: Variant, rng: np.random.Generator) -> str:
    """``X.EDF`` or ``X.Bdf``."""
    path, file = _file(variant, rng)
    if file.format not in ("edf", "bdf"):
        return ""
    suffix = str(rng.choice([file.format.upper(), file.format.title()]))
    return _renamed(variant, path, f"{path[:-3]}{suffix}", "case of the ending")


def odd_name(variant: Variant, rng: np.random.Generator) -> str:
    """An entity that no one knows, one in another place, a blank, a folder that is missing."""
    path, file = _file(variant, rng)
    if file.format == "vhdr":
        return ""
    kinds = [("_eeg.", " _eeg."), ("_task-", "_recording-x_task-"), ("_run-", "_desc-raw_run-"), ("/eeg/", "/")]
    kinds += [("_eeg.", "_EEG."), ("sub-", "Sub-"), ("_task-mi", "_task-m i")]
    if variant.kind == "edf_folder":
        kinds = [("_", "-"), (".edf", " .edf"), (".edf", "..edf"), ("_", "__")]
    old, new = kinds[int(rng.integers(len(kinds)))]
    place = path.rfind(old)
    return _renamed(variant, path, path[:place] + new + path[place + len(old) :], "odd name") if place >= 0 else ""


def misnamed_table(variant: Variant, rng: np.random.Generator) -> str:
    """A side table whose name is not that of its recording."""
    path = pick(variant, rng, "_events.tsv") or pick(variant, rng, "participants.tsv")
    if not path:
        return ""
    new = str(rng.choice([path.replace("_events", "_Events"), path.replace("run-", "run-0"), path[:-4] + ".TSV"]))
    if new == path or new in variant.sheets:
        return ""
    variant.sheets[new] = variant.sheets.pop(path)
    return f"{path} is called {new}"


def parts(variant: Variant, rng: np.random.Generator) -> str:
    """One recording in two files that share their side tables."""
    path, file = _file(variant, rng)
    if variant.kind != "bids" or file.notes or "_split-" in path or "_eeg." not in path or file.format == "vhdr":
        return ""
    busy = [(e.onset_s - 0.1, e.onset_s + 1.1) for e in file.take.events]
    busy += [(a_s - 0.6, b_s + 0.6) for a_s, b_s in file.take.bad]
    free = [k for k in range(5, int(file.stop_s) - 5) if not any(a_s < k < b_s for a_s, b_s in busy)]
    if not free:
        return ""
    at_s = float(rng.choice(free))
    del variant.signals[path]
    stem, end = path.rsplit("_eeg.", 1)
    ranges = [(0.0, at_s), (at_s, file.stop_s)]
    for number, (a_s, b_s) in enumerate(ranges, 1):
        part = replace(file, start_s=a_s, stop_s=b_s, labels=list(file.labels))
        variant.signals[f"{stem}_split-{number:02d}_eeg.{end}"] = part
    sheet = variant.sheets.get(f"{stem}_events.tsv")
    is_plain = sheet is not None and sheet.rows[0] == ["onset", "duration", "trial_type"] and sheet.separator == "\t"
    if not is_plain or not all(row[0].replace(".", "").isdecimal() for row in sheet.rows[1:]) or rng.random() < 0.6:
        return f"{path} in two parts at {at_s:g} s"
    del variant.sheets[f"{stem}_events.tsv"]
    for number, (a_s, b_s) in enumerate(ranges, 1):
        rows = [[f"{float(row[0]) - a_s:g}", *row[1:]] for row in sheet.rows[1:] if a_s <= float(row[0]) < b_s]
        variant.sheets[f"{stem}_split-{number:02d}_events.tsv"] = replace(sheet, rows=[sheet.rows[0], *rows])
    return f"{path} in two parts at {at_s:g} s, each with its events"


def in_another_format(variant: Variant, rng: np.random.Generator) -> str:
    """The same recording once more."""
    path, file = _file(variant, rng)
    others = ("edf", "bdf") if variant.kind == "edf_folder" else ("edf", "bdf", "set", "vhdr")
    kind = str(rng.choice([name for name in others if name != file.format]))
    other = f"{path[: path.rfind('.')]}.{kind}"
    if other in variant.signals or (file.notes and kind == "vhdr") or file.unit != "uV":
        return ""
    if variant.kind == "edf_folder":
        variant.corpus["pattern"] = variant.corpus["pattern"].removesuffix(".edf")
    twin = replace(file, format=kind, labels=list(file.labels), notes=list(file.notes))
    variant.signals[other] = twin
    return f"{path} also as .{kind}"


def in_another_folder(variant: Variant, rng: np.random.Generator) -> str:
    """A copy of a file under the person's other name, as after a second export."""
    if variant.kind != "edf_folder":
        return ""
    path, file = _file(variant, rng)
    copy = replace(file, labels=list(file.labels), notes=list(file.notes))
    other = f"{path[: path.rfind('.')]}b{path[path.rfind('.') :]}"
    variant.signals[other] = copy
    return f"{path} also as {other}"


def ambiguous_pattern(variant: Variant, rng: np.random.Generator) -> str:
    """Names that the pattern fits in two ways: whose recording it is depends on the way."""
    if variant.corpus.get("pattern", "") not in ("{subject}_{run}.edf", "{subject}_{run}"):
        return ""
    files = {f"p_{path}": file for path, file in variant.signals.items()}
    variant.signals = files
    return "every name begins with p_"


def stranger(variant: Variant, rng: np.random.Generator) -> str:
    """A file that the layout does not know, beside the others."""
    path, file = _file(variant, rng)
    folder = path.rsplit("/", 1)[0] + "/" if "/" in path else ""
    other = f"{folder}calibration.{file.format}"
    if file.format == "vhdr" or other in variant.signals:
        return ""
    variant.signals[other] = SignalFile(file.take, file.format, file.start_s, file.stop_s)
    return f"{other} lies there too"


def reference(variant: Variant, rng: np.random.Generator) -> str:
    """Labels that say, or seem to say, what the recording was made against."""
    ending = str(rng.choice(list(REFERENCES)))
    prefix, is_stated = str(rng.choice(["", "EEG "])), any("EEGReference: " in edit for edit in variant.edits)
    if is_stated and REFERENCES[ending] != "other":
        return ""  # two statements: nobody knows, see ``test_two_statements_of_a_reference_are_said``
    for file in variant.signals.values():
        file.labels = [f"{prefix}{name}{ending}" for name in ELECTRODES]
        file.take.reference = file.take.reference if is_stated else REFERENCES[ending]
    _follow_labels(variant)
    return f"labels {prefix}…{ending}"


def stated_reference(variant: Variant, rng: np.random.Generator) -> str:
    """``EEGReference`` in free words."""
    words = {"average": "average", " Average ": "average", "Cz": "Cz", "linked ears": "linked_ears", "FCz": "other"}
    words |= {"(C3+C4)/2": "other", "average of mastoids": "other", "common": "other", "REF": "other"}
    if not variant.jsons or any(file.take.reference != "other" for file in variant.signals.values()):
        return ""
    text = str(rng.choice(list(words)))
    for path in variant.jsons:
        variant.jsons[path]["EEGReference"] = text
    for file in variant.signals.values():
        file.take.reference = words[text]
    return f"EEGReference: {text!r}"


def spelled_labels(variant: Variant, rng: np.random.Generator) -> str:
    """Labels in another case, with blanks, with a prefix."""
    kind = int(rng.integers(4))
    change = [str.upper, str.lower, lambda name: f" {name} ", lambda name: f"EEG {name}"][kind]
    for file in variant.signals.values():
        file.labels = [change(name) for name in file.labels]
    _follow_labels(variant)
    return f"labels like {change('Fp1')!r}"


def unit(variant: Variant, rng: np.random.Generator) -> str:
    """Samples in another unit, as the file says."""
    path, file = _file(variant, rng)
    if file.format == "set":
        return ""
    file.unit = str(rng.choice(["mV", "V", "uv"]))
    return f"{path} in {file.unit}"


def bad_stretch(variant: Variant, rng: np.random.Generator) -> str:
    """A stretch that an annotation of the file, of the table or of both calls bad."""
    path, file = _file(variant, rng)
    if [other.take for other in variant.signals.values()].count(file.take) > 1 or file.take.bad:
        return ""
    start_s = float(rng.integers(2, int(file.stop_s) - 5)) + 0.5
    stop_s, text = start_s + float(rng.integers(1, 4)), str(rng.choice(BAD_TEXTS))
    if text == "edge artefact":
        text = "EDGE boundary"
    events = path.replace(f"_eeg.{file.format}", "_events.tsv")
    sheet = variant.sheets.get(events)
    to_file = sheet is None or rng.random() < 0.5
    if to_file:
        file.notes.append(Note(start_s, stop_s - start_s, text))
        file.notes.sort(key=lambda note: note.onset_s)
    else:
        if len(sheet.rows[0]) != 3 or sheet.column("trial_type") < 0:
            return ""
        sheet.rows.append([f"{start_s:g}", f"{stop_s - start_s:g}", text])
    file.take.bad.append((start_s, stop_s))
    return f"{text} from {start_s:g} to {stop_s:g} s in {path if to_file else events}"


def flat_channel(variant: Variant, rng: np.random.Generator) -> str:
    """An electrode that fell off: no signal at all."""
    path, file = _file(variant, rng)
    if [other.take for other in variant.signals.values()].count(file.take) > 1 or file.format not in ("edf", "bdf"):
        return ""
    name = str(rng.choice([name for name in ELECTRODES if name not in file.take.bad_channels]))
    file.flat.append(name)
    file.take.bad_channels.add(name)
    return f"{name} of {path} is flat"


def padded_notes(variant: Variant, rng: np.random.Generator) -> str:
    """Notes with blanks around them."""
    noted = [file for file in variant.signals.values() if file.notes]
    if not noted:
        return ""
    for file in noted:
        for note in file.notes:
            if rng.random() < 0.5:
                note.text = str(rng.choice([f"{note.text} ", f" {note.text}", f"{note.text}  "]))
    return "blanks around notes"


def foreign_notes(variant: Variant, rng: np.random.Generator) -> str:
    """A class with a letter that is no ASCII, in UTF-8 as the standard asks, or in Latin-1."""
    noted = [file for file in variant.signals.values() if file.notes and file.format in ("edf", "bdf")]
    if not noted or len(noted) < len(variant.signals) or "stop" not in variant.anchors:
        return ""
    encoding = str(rng.choice(["utf-8", "latin-1"]))
    for take in variant.truth.takes:
        for event in take.events:
            event.value = {"stop": "l\u00f6sen"}.get(event.value, event.value)
    for file in noted:
        for note in file.notes:
            note.text, note.encoding = note.text.replace("stop", "l\u00f6sen"), encoding
    variant.anchors["stop"] = ["l\u00f6sen"]
    return f"notes with a letter in {encoding}"


def misspelt_class(variant: Variant, rng: np.random.Generator) -> str:
    """The cut asks for a class in another spelling than that of the events."""
    label = str(rng.choice(list(variant.anchors)))
    variant.anchors[label] = [
        str(rng.choice([name.title(), name + "s", name.upper(), f"{name} "])) for name in variant.anchors[label]
    ]
    return f"class {label} asked for as {variant.anchors[label]}"


def absent_class(variant: Variant, rng: np.random.Generator) -> str:
    """The cut asks for a class that nobody has."""
    variant.anchors["catch"] = ["catch"]
    return "class catch asked for"


def _file(variant: Variant, rng: np.random.Generator) -> tuple[str, SignalFile]:
    paths = sorted(variant.signals)
    path = paths[int(rng.integers(len(paths)))]
    return path, variant.signals[path]


def _renamed(variant: Variant, path: str, new: str, what: str) -> str:
    if new in variant.signals:
        return ""
    variant.signals[new] = variant.signals.pop(path)
    return f"{what}: {path} is called {new}"


def _follow_labels(variant: Variant) -> None:
    """``channels.tsv`` names channels as the file does."""
    for path, sheet in variant.sheets.items():
        if path.endswith("_channels.tsv") and len(sheet.rows) == len(ELECTRODES) + 1 and sheet.column("name") == 0:
            own = next(
                (f for p, f in variant.signals.items() if p.startswith(path.removesuffix("_channels.tsv"))), None
            )
            if own is not None:
                for row, label in zip(sheet.rows[1:], own.labels, strict=True):
                    row[0] = label.strip()


EDITS: tuple[Edit, ...] = (
    *TABLE_EDITS,
    case_of_suffix,
    odd_name,
    misnamed_table,
    parts,
    in_another_format,
    in_another_folder,
    ambiguous_pattern,
    stranger,
    reference,
    stated_reference,
    spelled_labels,
    unit,
    bad_stretch,
    flat_channel,
    padded_notes,
    foreign_notes,
    misspelt_class,
    absent_class,
)


def edited(variant: Variant, rng: np.random.Generator, n_edits: int) -> Variant:
    """Make edits in random order until so many apply."""
    for which in rng.permutation(len(EDITS)):
        if len(variant.edits) == n_edits:
            break
        done = EDITS[which](variant, rng)
        if done:
            variant.edits.append(f"{EDITS[which].__name__}: {done}")
    return variant
