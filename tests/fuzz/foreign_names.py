"""Recordings with the names that other programs give to channels, and what the rules of names say of each.

The outcome is written down from tables of this file, not from the code: a draw puts together an electrode, words around
it, a reference and channels that are no electrodes, and knows from each part what becomes of it.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# fmt: off
ELECTRODES = {
    **{name: name for name in (
        "Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "C3", "Cz", "C4", "P3", "Pz", "P4", "O1", "O2", "Oz", "FC1", "FC2",
        "FC5", "FC6", "CP1", "CP2", "CP5", "CP6", "AF3", "AF4", "PO3", "PO4", "Fpz", "AFz", "Iz", "T9", "TP10")},
    "T3": "T7", "T4": "T8", "T5": "P7", "P8": "P8", "FT7": "FT7", "FP1.": "Fp1", "FC4..": "FC4", "cz": "Cz",
}
"""A label and the electrode that it names."""
WORDS_BEFORE = ("POL ", "BrainVision RDA_", "EEG1:", "ch-", "EEG_", "1 ")
WORDS_BEHIND = ("-AV", "-AR", "-SLE", "-Org", "-Cref", "-Vref", "_Ref", "-M1Ref", " (uV)", "-CS2", "-0")
PATTERNS: dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]] = {
    "plain": (("",), "unknown", ()),
    "REF": (("-REF", "-Ref"), "unknown", ("reference_unknown",)),
    "LE": (("-LE",), "linked_ears", ()),
    "A1A2": (("-A1A2", "-A1+A2", "-A1/A2", "-A2A1"), "linked_ears", ()),
    "AVG": (("-AVG", " - avg"), "average", ()),
    "M1": (("-M1",), "M1", ()),
    "M2": (("-M2",), "M2", ()),
    "A1": (("-A1",), "A1", ()),
    "A2": (("-A2",), "A2", ()),
    "Cz": (("-Cz",), "Cz", ()),
    "mastoids": (("-M1", "-M2"), "either_mastoid", ("references_mixed:M1+M2",)),
    "ears": (("-A1", "-A2"), "either_ear", ("references_mixed:A1+A2",)),
    "ear and mastoid": (("-A1", "-M2"), "unknown", ("references_mixed:A1+M2",)),
    "mastoid and plain": (("-M2", ""), "unknown", ("references_mixed:M2+unnamed",)),
    "mastoid and REF": (("-M1", "-REF"), "unknown", ("references_mixed:M1+unnamed",)),
    "mastoid and LE": (("-M2", "-LE"), "unknown", ("references_mixed:M2+linked_ears",)),
    "words and plain": (("-AV", ""), "unknown", ("reference_unknown",)),
    "words and REF": (("-AV", "-REF"), "unknown", ("reference_unknown",)),
    "words and LE": (("-AV", "-LE"), "unknown", ("references_mixed:linked_ears+unnamed",)),
    "words and mastoid": (("-AV", "-M1"), "unknown", ("references_mixed:M1+unnamed",)),
    "LE and plain": (("-LE", ""), "unknown", ("reference_unknown",)),
    "REF and LE": (("-REF", "-LE"), "mixed_references", ()),
    "LE and AVG": (("-LE", "-AVG"), "mixed_references", ()),
}
"""What stands behind the names of a file, the reference of the recording or the code of its row, and flags."""
LEFT_OUT = (
    "EOG Fp1", "C1 EMG", "O2 Sat", "ECG", "EKG1-F3", "SpO2", "DC1", "Status", "T1", "PG1", "CQ_AF3", "E1-M2", "C3-P3",
    "A2-A1", "GND Fpz", "Fp1 EOG", "Resp Fz", "Trig C3", "LEOG-A2", "Imp F3", "F4 pulse", "EEG T1-T2",
)
NOT_UNDERSTOOD = (
    "O2 Flux", "Jaw-A1", "C3 P3", "X1", "Ch77", "M1Ref", "E5", "POL T1", "EEG 20-REF", "F3-C3 x", "Fp1-", "E2-AV",
    "C3P",
)
CAPS = {
    16: "Fp1 Fp2 F4 Fz F3 T7 C3 Cz C4 T8 P4 Pz P3 O1 Oz O2",
    32: "Fp1 AF3 F7 F3 FC1 FC5 T7 C3 CP1 CP5 P7 P3 Pz PO3 O1 Oz "
        "O2 PO4 P4 P8 CP6 CP2 C4 T8 FC6 FC2 F4 F8 AF4 Fp2 Fz Cz",
    64: "Fp1 AF7 AF3 F1 F3 F5 F7 FT7 FC5 FC3 FC1 C1 C3 C5 T7 TP7 "
        "CP5 CP3 CP1 P1 P3 P5 P7 P9 PO7 PO3 O1 Iz Oz POz Pz CPz "
        "Fpz Fp2 AF8 AF4 AFz Fz F2 F4 F6 F8 FT8 FC6 FC4 FC2 FCz Cz "
        "C2 C4 C6 T8 TP8 CP6 CP4 CP2 P2 P4 P6 P8 P10 PO8 PO4 O2",
    128: "", 160: "", 256: "",
}
"""Electrodes of the caps in the order of the inputs; the larger ones are named by the inputs."""
# fmt: on
INPUTS = [f"{bank}{k}" for bank in "ABCDEFGHI" for k in range(1, 33)]
LONGEST_LABEL = {"edf": 16, "bdf": 16, "set": 99, "vhdr": 99}


@dataclass
class Case:
    """One file and what becomes of it.

    Args:
        number: Number of the draw.
        suffix: Format.
        labels: Labels in the order of the file.
        layout: Layout of the corpus.
        reading: Options.
        rows: Rows of ``channels.tsv`` (name, type, status); none for no table.
        electrodes: Electrode of each label that is one.
        reference: Reference of the recording.
        flags: Flags about names.
        left_out: Labels that are known to be no electrode.
        not_understood: Labels that are not understood.
        bad: Bad electrodes.
        code: Code of the row, if the file is rejected.
        remedy: A part of its remedy.
    """

    number: int
    suffix: str = "edf"
    labels: list[str] = field(default_factory=list)
    layout: str = "1005"
    reading: dict[str, Any] = field(default_factory=dict)
    rows: list[tuple[str, str, str]] = field(default_factory=list)
    electrodes: dict[str, str] = field(default_factory=dict)
    reference: str = "unknown"
    flags: set[str] = field(default_factory=set)
    left_out: set[str] = field(default_factory=set)
    not_understood: set[str] = field(default_factory=set)
    bad: set[str] = field(default_factory=set)
    code: str = ""
    remedy: str = ""

    def shuffle(self, rng: np.random.Generator) -> None:
        """Put the labels into another order."""
        self.labels = [self.labels[k] for k in rng.permutation(len(self.labels))]


def draw(number: int) -> Case:
    """The case of this number."""
    rng = np.random.default_rng([31, number])
    case = Case(number, suffix=str(rng.choice(["edf", "bdf", "set", "vhdr"])))
    kind = rng.choice(["ten-twenty", "cap", "net"], p=[0.7, 0.2, 0.1])
    {"ten-twenty": _ten_twenty, "cap": _cap, "net": _net}[str(kind)](case, rng)
    case.shuffle(rng)
    if case.not_understood:
        case.flags.add("labels_not_understood")
    return case


def _some(rng: np.random.Generator, values: Any, least: int, most: int) -> list[str]:
    return [str(v) for v in rng.choice(list(values), int(rng.integers(least, most + 1)), replace=False)]


def _ten_twenty(case: Case, rng: np.random.Generator) -> None:
    pattern = str(rng.choice(list(PATTERNS)))
    behind, outcome, flags = PATTERNS[pattern]
    names = _one_each(_some(rng, ELECTRODES, 12, 24), {"Cz"} if pattern == "Cz" else set())
    before, is_word_before = str(rng.choice(["", "", "EEG "])), False
    if pattern in ("plain", "LE", "REF", "AVG") and rng.random() < 0.5:
        before, is_word_before = str(rng.choice(WORDS_BEFORE)), True
    elif pattern == "plain" and rng.random() < 0.7:
        behind, outcome, flags = (str(rng.choice(WORDS_BEHIND)),), "unknown", ("reference_unknown",)
        pattern = "words"
    n_with_words = 0
    for k, name in enumerate(names):
        end = behind[k % len(behind)] if k < len(behind) else str(rng.choice(behind))
        label = f"{before}{name.rstrip('.')}{end}" if end or before else name
        has_words = is_word_before or end in WORDS_BEHIND
        n_with_words += has_words
        case.labels.append(label)
        case.electrodes[label] = ELECTRODES[name]
    if max(map(len, case.labels)) > LONGEST_LABEL[case.suffix]:
        case.suffix = "set"
    if outcome == "mixed_references" and not is_word_before:
        case.code, case.remedy = outcome, "give the reference of the corpus"
    elif is_word_before:
        case.flags |= {"reference_unknown"}
    else:
        case.reference, case.flags = outcome, set(flags)
    known = is_word_before and _know_words(case, rng, before, outcome, flags)
    if n_with_words and not known:
        case.flags.add(f"electrode_among_words:{n_with_words}")
    _beside(case, rng, pattern)
    if not case.code:
        choice = rng.random()
        if choice < 0.2:
            _compete(case, rng, has_words=is_word_before and not known)
        elif choice < 0.4 and pattern != "Cz":
            _rename(case, rng)
        elif choice < 0.7:
            _describe(case, rng)


def _one_each(names: list[str], without: set[str]) -> list[str]:
    """Names of different electrodes."""
    by_electrode = {ELECTRODES[name]: name for name in names}
    return [name for electrode, name in by_electrode.items() if electrode not in without]


def _know_words(case: Case, rng: np.random.Generator, before: str, outcome: str, flags: tuple[str, ...]) -> bool:
    """Say by an option that the words in front mean nothing, so that the rest of the label counts."""
    if rng.random() < 0.5:
        return False
    case.reading = {"prefixes": [before.swapcase()]}
    case.reference, case.flags = outcome, set(flags)
    return True


def _beside(case: Case, rng: np.random.Generator, pattern: str) -> None:
    """Channels that are no electrodes. A prefix that is known has no effect on them."""
    derivations = {"C3-P3", "C3 P3", "EEG T1-T2"} if pattern == "Cz" else set()
    for label in _some(rng, set(LEFT_OUT) - derivations, 0, 4):
        case.labels.append(label)
        case.left_out.add(label)
    unknown = set(NOT_UNDERSTOOD) - ({"POL T1"} if case.reading else set())
    for label in _some(rng, sorted(unknown), 0, 3):
        case.labels.append(label)
        case.not_understood.add(label)


def _compete(case: Case, rng: np.random.Generator, *, has_words: bool) -> None:
    """A second label for an electrode, with words: it is not taken, and neither is a first one that is not sure."""
    endings = Counter(label[-3:] for label in case.electrodes)
    # Without the only label of its kind, the reference of the file would be another.
    others = [label for label in case.electrodes if endings[label[-3:]] > 1 or "-" not in label[-3:]]
    first = str(rng.choice(others))
    electrode = case.electrodes[first]
    second = f"XX {electrode}"
    case.labels.append(second)
    case.not_understood.add(second)
    case.flags.add(f"names_compete:{electrode}")
    if first.endswith(("-M1", "-M2", "-A1", "-A2", "-Cz")):
        case.left_out.add(first)
    elif has_words or first.endswith(WORDS_BEHIND):
        case.not_understood.add(first)
        [flag] = [f for f in case.flags if f.startswith("electrode_among_words")]
        case.flags.remove(flag)
        case.flags.add(f"electrode_among_words:{int(flag.partition(':')[2]) - 1}")
    else:
        return
    del case.electrodes[first]


def _rename(case: Case, rng: np.random.Generator) -> None:
    """A label without a meaning that is given one, and a channel that is sent away."""
    free = sorted(set(ELECTRODES.values()) - set(case.electrodes.values()))
    new = str(rng.choice(free))
    renames: dict[str, str | None] = {"Sensor 7": new, "Aux Fz": None}
    case.labels += renames
    case.electrodes["Sensor 7"] = new
    case.left_out.add("Aux Fz")
    case.reading = {**case.reading, "renames": renames}
    # A renamed label states no reference.
    stated = {"reference_unknown"} & case.flags
    mixed = [flag for flag in case.flags if flag.startswith("references_mixed")]
    if mixed:
        case.flags.remove(mixed[0])
        parts = sorted({*mixed[0].partition(":")[2].split("+"), "unnamed"})
        case.flags.add(f"references_mixed:{'+'.join(parts)}")
    elif case.reference in ("linked_ears", "average") or stated:
        case.flags.add("reference_unknown")
    elif case.reference != "unknown":
        case.flags.add(f"references_mixed:{case.reference}+unnamed")
    case.reference = "unknown"


def _describe(case: Case, rng: np.random.Generator) -> None:
    """``channels.tsv`` with the file's labels or the electrodes' own names: one is bad, and a further one is an eye."""
    bad, is_plain = str(rng.choice(list(case.electrodes))), rng.random() < 0.5
    case.rows = [
        (name if is_plain else label, "EEG", "bad" if label == bad else "good")
        for label, name in case.electrodes.items()
    ]
    case.rows.append(("POz", "EOG", "good"))
    case.bad = {case.electrodes[bad]}
    case.labels.append("POz")
    case.left_out.add("POz")


def _cap(case: Case, rng: np.random.Generator) -> None:
    n = int(rng.choice(list(CAPS)))
    size = n if rng.random() < 0.6 else int(rng.choice(list(CAPS)))
    case.layout = f"biosemi{n}" if rng.random() < 0.8 else "1005"
    raw = INPUTS[:size]
    change = rng.random()
    if change < 0.15:
        raw = [name for name in raw if name != raw[int(rng.integers(size))]]
    elif change < 0.3 and size < 256:
        raw = INPUTS[: size + 1]
    form = str(rng.choice(["{}", "{}", "EEG {}", "zeros"]))
    labels = [f"{x[0]}{int(x[1:]):02d}" if form == "zeros" else form.format(x) for x in raw]
    others, unplugged = _some(rng, [f"EXG{k}" for k in range(1, 9)], 0, 4), _some(rng, INPUTS[256:], 0, 6)
    case.labels = [*labels, *others, *unplugged]
    fits = next((m for m in CAPS if raw == INPUTS[:m]), None)
    is_part = n >= 128 and fits is None and set(raw) <= set(INPUTS[:n])
    if case.layout == "1005" or not (fits == n or is_part):
        case.code = "no_eeg"
        case.remedy = f"set ingest.corpus.layout: biosemi{fits}" if fits else "no cap"
        return
    places = dict(zip(INPUTS, CAPS[n].split() or INPUTS[:n], strict=False))
    case.electrodes = {label: places[name] for label, name in zip(labels, raw, strict=True)}
    case.left_out, case.not_understood = set(others), set(unplugged)


def _net(case: Case, rng: np.random.Generator) -> None:
    case.layout = "gsn129"
    places = [str(k) for k in sorted(rng.choice(np.arange(1, 129), 24, replace=False))]
    form = str(rng.choice(["E{}", "E{:0>3}", "EEG E{}", "E{}-AV", "POL E{}", "E{}-Cz"]))
    labels = [form.format(k) for k in places]
    case.electrodes = {label: f"E{k}" for label, k in zip(labels, places, strict=True)}
    has_words = "AV" in form or "POL" in form
    case.reference = "unknown" if has_words else "Cz"
    case.flags = {f"electrode_among_words:{len(labels)}", "reference_unknown"} if has_words else set()
    if "Cz" not in form and rng.random() < 0.5:
        labels.append("Cz")
        case.electrodes["Cz"] = "Cz"
    case.left_out, case.not_understood = {"ECG"}, {"Fp1"}
    case.labels = [*labels, "ECG", "Fp1"]


def repeated(case: Case) -> list[str]:
    """Labels that stand twice: a fault of the generator."""
    return [label for label, n in Counter(case.labels).items() if n > 1]
