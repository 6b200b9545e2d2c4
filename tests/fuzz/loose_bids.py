"""Draws of BIDS folders with loose side files. Every draw states its consequence by the rule, not by the program."""

import json
from typing import Any

from eegfm.signal.montages.electrodes import electrode_table
from fuzz.loose_case import Case, Draw, Rows, marked, written

ELECTRODES = ("Fp1", "Fp2", "C3", "Cz", "C4", "O1", "O2")
LABELS = (*ELECTRODES, "X1")
RATE_HZ, DURATION_S = 100, 10
METRES = {"m": 1.0, "cm": 1e-2, "mm": 1e-3}


def draw_bids(number: int) -> Case:
    """One recording with side files of every kind."""
    draw = Draw(number)
    stem = f"sub-01/eeg/sub-01_task-{draw.one('rest', 'rest', 'rest+eyes')}"
    case = Case(corpus={"name": "bids"}, recordings=(f"{stem}_eeg.edf",))
    flags = case.flags.setdefault(case.recordings[0], set())
    n_eeg = _channels(case, draw, stem, flags)
    _eeg_json(case, draw, stem, flags, n_eeg)
    _events(case, draw, stem, flags)
    _positions(case, draw, flags)
    _participants(case, draw, flags)
    for name in (
        "dataset_description.json",
        "sub-01/sub-01_scans.tsv",
        "sub-01/sub-01_sessions.tsv",
        "task-rest_beh.json",
    ):
        if draw.chance(0.2):
            case.files[name] = draw.one(b"{", b"\xff\xfe\x00", b"a\tb\n1\n", b"")
    return case


def _channels(case: Case, draw: Draw, stem: str, flags: set[str]) -> int | None:
    """Write ``channels.tsv``. Returns how many EEG channels it has in common with the file; None without a table."""
    if draw.chance(0.15):
        flags.add("labels_not_understood")
        return None
    rows: Rows = [["name", "type", "units", "status", "sampling_frequency"]]
    rows += [[name, "EEG", draw.one("uV", "\u00b5V"), "good", str(RATE_HZ)] for name in ELECTRODES]
    rows.append(["X1", "MISC", "n/a", "n/a", "n/a"])
    n_eeg, n_left_out, lines = len(ELECTRODES), 0, []
    if draw.chance(0.2):
        name = draw.one("Fp1", "Fp2")
        rows[LABELS.index(name) + 1][3] = draw.one("bad", "BAD ")
        case.bad_channels.add(name)
        flags.add(f"marked_bad:{name}")
    if draw.chance(0.1):
        rows[LABELS.index("O1") + 1][3] = "meh"
        flags.add("status_not_understood:O1")
    if draw.chance(0.15):
        rows[LABELS.index("C4") + 1][4] = draw.one("fast", "100 Hz", "100,0")
        flags.add("side_file_not_understood:channels.tsv:sampling_frequency")
    if draw.chance(0.07):
        rows[LABELS.index("Cz") + 1][4] = "250"
        case.codes.add("rate_mismatch")
    if draw.chance(0.15):
        rows.append(["C3", "MISC", rows[3][2], "good", str(RATE_HZ)])
        flags.update({"side_file_not_understood:channels.tsv:type", "channel_type_missing"})
    if draw.chance(0.2):
        del rows[LABELS.index("O2") + 1]
        n_eeg -= 1
        flags.add("channels_tsv_differs")
    if draw.chance(0.25):
        rows.append(
            [draw.one("GND", "STI 014", "X9", "Foot"), draw.one("EEG", "MISC", "REF", "n/a"), "uV", "good", "n/a"]
        )
        flags.add("channels_tsv_differs")
    if draw.chance(0.1):
        rows.append(["Pz", "EEG", "uV", "bad", "n/a"])
        flags.add("channels_tsv_differs")
    if draw.chance(0.07):
        rows.append(["F3", "EEG", "uV", "good", "n/a"])
        flags.add("channels_tsv_differs")
        case.codes.add("channel_mismatch")
    if draw.chance(0.1):
        rows.append(["n/a", "EEG", "uV", "good", "n/a"])
        n_left_out += 1
    rows = marked(rows, draw)
    if draw.chance(0.1):
        lines.append(["Pz", "EEG"])
        n_left_out += 1
    if draw.chance(0.08):
        rows[0][0] = draw.one("channel", "names", "label")
        case.bad_channels.clear()
        case.codes.clear()
        flags.clear()
        flags.update({"side_file_unreadable:channels.tsv", "labels_not_understood"})
        case.files[f"{stem}_channels.tsv"], _ = written([*rows, *lines], draw)
        return None
    content, is_utf8 = written([*rows, *lines], draw)
    case.files[f"{stem}_channels.tsv"] = content
    if n_left_out:
        flags.add(f"side_file_rows_left_out:channels.tsv:{n_left_out}")
    if not is_utf8:
        flags.add("side_file_not_utf8:channels.tsv")
    return n_eeg


def _eeg_json(case: Case, draw: Draw, stem: str, flags: set[str], n_eeg: int | None) -> None:
    if draw.chance(0.2):
        return
    if draw.chance(0.1):
        case.files[f"{stem}_eeg.json"] = draw.one(b"{", b"", b"[1]", b"\x00\x01", b'{"a": 1}}')
        flags.add("side_file_unreadable:eeg.json")
        return
    facts: dict[str, Any] = {"TaskDescription": draw.one("Z\u00fcrich", "rest")}
    keys = {
        "SamplingFrequency": (RATE_HZ, "rate_mismatch", 128),
        "RecordingDuration": (DURATION_S, "length_mismatch", 60),
    }
    for key, (right, code, wrong) in keys.items():
        kind = draw.one(
            "right", "right", "right", "text", "missing", "absent", "odd", "odd" if draw.chance(0.8) else "wrong"
        )
        facts[key] = {"right": right, "text": str(right), "missing": draw.one("n/a", None, 0), "wrong": wrong}.get(
            kind, draw.one("some", -1, [5], True, "5 Hz")
        )
        if kind == "absent":
            del facts[key]
        elif kind == "odd":
            flags.add(f"side_file_not_understood:eeg.json:{key}")
        elif kind == "wrong":
            case.codes.add(code)
    count = draw.one(None, None, n_eeg, len(ELECTRODES), 3, 64)
    if count is not None:
        facts["EEGChannelCount"] = count
        if n_eeg is not None and count != n_eeg:
            flags.add(f"channel_count_differs:{count}")
        elif n_eeg is None and count > len(LABELS):
            case.codes.add("channel_mismatch")
    if draw.chance(0.4):
        facts["EEGReference"] = draw.one("Cz", "average", "somewhere", 5, ["Cz"])
        case.reference = {"Cz": "Cz", "average": "average"}.get(str(facts["EEGReference"]), "unknown")
    text, encoding = json.dumps(facts, ensure_ascii=False), draw.one("utf-8", "utf-8", "utf-8-sig", "latin-1", "utf-16")
    case.files[f"{stem}_eeg.json"] = text.encode(encoding)
    if encoding == "utf-16" or (encoding == "latin-1" and not text.isascii()):
        flags.add("side_file_not_utf8:eeg.json")


def _events(case: Case, draw: Draw, stem: str, flags: set[str]) -> None:
    if draw.chance(0.15):
        return
    value = draw.one("go", "gr\u00fcn")
    rows: Rows = [["onset", "duration", "trial_type"]]
    events: list[tuple[float, float | None, str]] = []
    counts = {"events_without_onset": 0, "events_without_value": 0, "side_file_rows_left_out:events.tsv": 0}
    lines: Rows = []
    for onset_s in (1.0, 2.5, 4.0, 6.0):
        onset, duration, name = str(onset_s), "0.5", value
        duration_s: float | None = 0.5
        if draw.chance(0.15):
            duration = draw.one("n/a", "nan", "", "long", "0,5", "inf")
            duration_s = None
            if duration in ("long", "0,5", "inf"):
                flags.add("side_file_not_understood:events.tsv:duration")
        if draw.chance(0.1):
            name = "n/a"
        if draw.chance(0.15):
            onset = draw.one("n/a", "nan", "", "soon", "1,5", "inf", "N/A")
            counts["events_without_onset"] += 1
        else:
            events.append((onset_s, duration_s, "" if name == "n/a" else name))
            counts["events_without_value"] += name == "n/a"
        rows.append([onset, duration, name])
    if draw.chance(0.12):
        rows = [[*row, row[1]] for row in rows]  # the same column once more
    elif draw.chance(0.08):
        rows = [["trial_type", *rows[0]], *([f"other{k}", *row] for k, row in enumerate(rows[1:]))]
        events = [(onset_s, duration_s, "") for onset_s, duration_s, _ in events]
        counts["events_without_value"] = len(events)
        flags.add("side_file_not_understood:events.tsv:trial_type")
    if draw.chance(0.1):
        lines.append(["9", "1", value, "x", "y", "z"])
        counts["side_file_rows_left_out:events.tsv"] += 1
    if draw.chance(0.08):
        rows[0] = [name.replace("onset", draw.one("time", "Onset (s)")) for name in rows[0]]
        events = []
        flags.difference_update([flag for flag in flags if "events.tsv" in flag])
        flags.add("side_file_unreadable:events.tsv")
        case.files[f"{stem}_events.tsv"], _ = written(rows, draw)
        return
    content, is_utf8 = written([*rows, *lines], draw)
    case.files[f"{stem}_events.tsv"], case.events = content, events
    flags.update(f"{name}:{n}" for name, n in counts.items() if n)
    if not is_utf8:
        flags.add("side_file_not_utf8:events.tsv")


def _positions(case: Case, draw: Draw, flags: set[str]) -> None:
    if draw.chance(0.6):
        return
    case.corpus["positions"] = "electrodes_tsv"
    if draw.chance(0.1):
        flags.add("no_electrodes_tsv")
        return
    true, stated = draw.one("m", "cm", "mm"), draw.one("m", "cm", "mm", "n/a")
    table = electrode_table("1005")
    rows: Rows = [["name", "x", "y", "z"]]
    rows += [[name, *(f"{0.95 * v / METRES[true]:.6g}" for v in table[name].position_m)] for name in ELECTRODES]
    if draw.chance(0.3):
        stated = true
    units, lost, faults = stated, set(), set()
    if draw.chance(0.2):
        case.corpus["position_units"] = units = draw.one(true, true, "mm")
    if draw.chance(0.3):
        cell = draw.one("n/a", "nan", "far", "inf")
        rows[2][2], lost = cell, {rows[2][0]}
        faults = {"side_file_not_understood:electrodes.tsv:xyz"} if cell in ("far", "inf") else set()
    content, is_utf8 = written(marked(rows, draw), draw)
    if draw.chance(0.1):
        content, is_utf8, faults, rows = b"name\tx\ty\n", True, {"side_file_unreadable:electrodes.tsv"}, []
    if not is_utf8:
        faults.add("side_file_not_utf8:electrodes.tsv")
    system = json.dumps({"EEGCoordinateSystem": "CapTrak", "EEGCoordinateUnits": stated}).encode()
    if draw.chance(0.1):
        system = b"{"
        faults.add("side_file_unreadable:coordsystem.json")
    case.files["sub-01/eeg/sub-01_electrodes.tsv"] = content
    case.files["sub-01/eeg/sub-01_coordsystem.json"] = system
    flags |= faults
    if not rows or system == b"{":
        flags.add("positions_unusable:coordinate_system")
    elif units == true:
        flags.update(f"template_position:{name}" for name in lost)
    else:
        flags.add(f"positions_unusable:{'coordinate_system' if units == 'n/a' else 'implausible'}")
        flags.add(f"positions_fit_in:{true}")


def _participants(case: Case, draw: Draw, flags: set[str]) -> None:
    """Write ``participants.tsv``: its faults are flags, unless they touch the column that is asked for."""
    columns: dict[str, Any] = {}
    case.columns[case.recordings[0]] = columns
    is_asked = draw.chance(0.4)
    if is_asked:
        case.corpus["labels"] = {"group": "text"}
    if draw.chance(0.15):
        case.error = r"participants\.tsv does not exist" if is_asked else ""
        return
    rows: Rows = [["participant_id", "age", "sex", "group"], ["sub-01", "30", "F", "A"], ["sub-02", "40", "M", "B"]]
    columns |= {"age_years": 30.0, "sex": "F", **({"group": "A"} if is_asked else {})}
    kind = draw.one(
        *("plain", "plain", "age", "age", "other's age", "group twice", "age twice", "id twice", "commas", "no rows"),
        *("two rows, group", "two rows, age", "two rows alike", "odd line", "nameless", "other ids"),
    )
    case.done.append(f"participants: {kind}{', asked for' if is_asked else ''}")
    faults, separator, lines = set(), "\t", []
    if kind in ("age", "other's age"):
        text = draw.one("18-38", ">89", "35 years", "n/a", "89+", "90+", "old", "")
        rows[1 if kind == "age" else 2][1] = text
        if kind == "age":
            columns["age_years"] = {"89+": 89.0, "90+": 90.0}.get(text)
            faults |= set() if text in ("n/a", "", "89+", "90+") else {"age_not_understood"}
    elif kind == "group twice":
        rows = [[*row, extra] for row, extra in zip(rows, ("group", "A", "C"), strict=True)]
        case.error = r"column group stands twice, and its values differ in line \d" if is_asked else ""
    elif kind == "age twice":
        rows = [[*row, extra] for row, extra in zip(rows, ("age", "30", "41"), strict=True)]
        columns["age_years"] = None
        faults.add("age_not_understood")
    elif kind == "id twice":
        rows = [[row[0], extra, *row[1:]] for row, extra in zip(rows, ("participant_id", "CQ2", "BT4"), strict=True)]
        faults.add("side_file_not_understood:participants.tsv:participant_id")
        case.error = "column participant_id stands twice, and its values differ in line" if is_asked else ""
    elif kind == "commas":
        separator = ","
        columns |= {"age_years": None, "sex": ""}
        faults = {"side_file_unreadable:participants.tsv"}
        case.error = "not readable as a BIDS table of participants" if is_asked else ""
    elif kind == "no rows":
        rows = rows[:1]
        columns |= {"age_years": None, "sex": "", **({"group": ""} if is_asked else {})}
        faults = {"not_in_participants.tsv:0_of_0"}
    elif kind.startswith("two rows"):
        rows.append([*rows[1]])
        if kind != "two rows alike":
            at = rows[0].index(kind.removeprefix("two rows, "))
            rows[3][at] = {1: "31", 3: "C"}[at]
            if at == 1:
                columns["age_years"] = None
                faults.add("rows_disagree:age")
            elif is_asked:
                case.error = r"group of 01 is 'A' in line \d and 'C' in line \d"
    elif kind in ("odd line", "nameless"):
        lines = [["sub-03", "30"]] if kind == "odd line" else []
        rows += [["n/a", "30", "F", "A"]] if kind == "nameless" else []
        faults.add("side_file_rows_left_out:participants.tsv:1")
        case.error = "has another number of fields than the header, or names nobody" if is_asked else ""
    elif kind == "other ids":
        rows = [[row[0].replace("sub-0", "sub-"), *row[1:]] for row in rows]
        columns |= {"age_years": None, "sex": "", **({"group": ""} if is_asked else {})}
        faults = {"not_in_participants.tsv:0_of_2"}
    content, is_utf8 = written([*marked(rows, draw), *lines], draw, separator)
    is_there = kind not in ("commas", "no rows", "other ids")
    case.files["participants.tsv"] = content
    flags |= faults | ({"side_file_not_utf8:participants.tsv"} if is_there and not is_utf8 else set())
    if draw.chance(0.1):
        case.files["participants.json"] = b"{"
