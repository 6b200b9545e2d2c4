"""A corpus as files: tables cell by cell, signals in four formats; edits change both before they are written."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edf_files import write_edf
from fuzz.variant_truth import ELECTRODES, Take, Truth
from set_files import fields, write_set

FORMATS = ("edf", "bdf", "set", "vhdr")
UNIT_PER_UV = {"uV": 1.0, "mV": 1e-3, "V": 1e-6, "\u00b5V": 1.0, "uv": 1.0}


@dataclass
class Sheet:
    """A table as text: rows of cells, the header first, and how they are written down."""

    rows: list[list[str]]
    separator: str = "\t"
    newline: str = "\n"
    encoding: str = "utf-8"
    tail: str = "\n"

    def column(self, name: str) -> int:
        """Place of a column by its name, whatever was done to the spelling; -1 where there is none."""
        names = [cell.strip().strip('"').casefold() for cell in self.rows[0]]
        return names.index(name) if name in names else -1

    def to_bytes(self) -> bytes:
        """The file's content."""
        text = self.newline.join(self.separator.join(row) for row in self.rows) + self.tail.replace("\n", self.newline)
        return text.encode(self.encoding)


@dataclass
class Note:
    """A note inside a signal file, in seconds from the file's start."""

    onset_s: float
    duration_s: float
    text: str
    encoding: str = "utf-8"


@dataclass
class SignalFile:
    """A file that holds a recording, or a part of it from ``start_s`` to ``stop_s``."""

    take: Take
    format: str
    start_s: float
    stop_s: float
    labels: list[str] = field(default_factory=lambda: list(ELECTRODES))
    unit: str = "uV"
    notes: list[Note] = field(default_factory=list)
    flat: list[str] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write it in its format."""
        path.parent.mkdir(parents=True, exist_ok=True)
        n_samples = round((self.stop_s - self.start_s) * self.take.rate_hz)
        signal_uv = self.take.signal_uv(self.start_s, n_samples, self.take.rate_hz)
        # Tones alone rest on their peaks so long that they look clipped.
        noise_uv = np.random.default_rng(self.take.seed + 1).standard_normal(
            (len(signal_uv), round(self.take.duration_s * self.take.rate_hz))
        )
        first = round(self.start_s * self.take.rate_hz)
        signal_uv = signal_uv + 0.5 * noise_uv[:, first : first + n_samples]
        signal_uv[[ELECTRODES.index(name) for name in self.flat]] = 0.0
        {"edf": self._edf, "bdf": self._edf, "set": self._set, "vhdr": self._vhdr}[self.format](path, signal_uv)

    def _edf(self, path: Path, signal_uv: np.ndarray) -> None:
        bits = {"edf": 16, "bdf": 24}[self.format]
        limit = 500 * UNIT_PER_UV[self.unit]
        notes = [(note.onset_s, note.duration_s, note.text.encode(note.encoding)) for note in self.notes]
        write_edf(
            path,
            list(signal_uv * UNIT_PER_UV[self.unit]),
            self.labels,
            self.take.rate_hz,
            bits=bits,
            ranges=[(-limit, limit)] * len(self.labels),
            units=[self.unit] * len(self.labels),
            reserved=f"{self.format.upper()}+C" if notes else "",
            onsets_s=[float(k) for k in range(int(self.stop_s - self.start_s))] if notes else None,
            notes=notes,
        )

    def _set(self, path: Path, signal_uv: np.ndarray) -> None:
        rate_hz = self.take.rate_hz
        events = [(note.text, note.onset_s * rate_hz + 1, note.duration_s * rate_hz) for note in self.notes]
        content = fields(self.labels, signal_uv.shape[1], rate_hz, events)
        write_set(path, content, signal_uv.astype(np.float32), container="v5")

    def _vhdr(self, path: Path, signal_uv: np.ndarray) -> None:
        stem, rate_hz = path.stem, self.take.rate_hz
        head = [
            "Brain Vision Data Exchange Header File Version 1.0",
            "[Common Infos]", "Codepage=UTF-8", f"DataFile={stem}.eeg", f"MarkerFile={stem}.vmrk",
            "DataFormat=BINARY", "DataOrientation=MULTIPLEXED", f"NumberOfChannels={len(self.labels)}",
            f"SamplingInterval={1e6 / rate_hz:g}", "[Binary Infos]", "BinaryFormat=IEEE_FLOAT_32", "[Channel Infos]",
        ]  # fmt: skip
        unit = "\u00b5V" if self.unit == "uV" else self.unit
        head += [f"Ch{k}={label},,1,{unit}" for k, label in enumerate(self.labels, 1)]
        path.write_bytes("\r\n".join(head).encode())
        marks = ["Brain Vision Data Exchange Marker File, Version 1.0", "[Common Infos]", "Codepage=UTF-8"]
        marks += [f"DataFile={stem}.eeg", "[Marker Infos]", "Mk1=New Segment,,1,1,0,20200101120000000000"]
        for k, note in enumerate(self.notes, 2):
            at, length = round(note.onset_s * rate_hz) + 1, round(note.duration_s * rate_hz)
            # As BrainVision's own programs and MNE's export write them.
            kind, text = ("Bad Interval", "") if note.text.strip() == "Bad Interval" else ("Comment", note.text)
            marks.append(f"Mk{k}={kind},{text},{at},{length},0")
        path.with_suffix(".vmrk").write_bytes("\r\n".join(marks).encode())
        values = signal_uv * UNIT_PER_UV[self.unit]
        path.with_suffix(".eeg").write_bytes(np.ascontiguousarray(values.T, dtype="<f4").tobytes())


@dataclass
class Variant:
    """A corpus with the edits that were made to it, and how it is read.

    Args:
        kind: ``bids`` or ``edf_folder``.
        corpus: Parameters of the layout.
        anchors: By class, the events' values that the cut asks for.
        edits: What was done, in words.
    """

    truth: Truth
    kind: str
    corpus: dict[str, Any]
    signals: dict[str, SignalFile] = field(default_factory=dict)
    sheets: dict[str, Sheet] = field(default_factory=dict)
    jsons: dict[str, dict[str, Any]] = field(default_factory=dict)
    anchors: dict[str, list[str]] = field(default_factory=dict)
    edits: list[str] = field(default_factory=list)

    def write(self, root: Path) -> None:
        """Write all files."""
        for path, file in self.signals.items():
            file.write(root / path)
        contents = {p: sheet.to_bytes() for p, sheet in self.sheets.items()}
        contents |= {p: json.dumps(content).encode() for p, content in self.jsons.items()}
        for path, content in contents.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)


def draw_variant(rng: np.random.Generator, truth: Truth) -> Variant:
    """The corpus without an edit, in one of two layouts and one of four formats."""
    classes = sorted({event.value for take in truth.takes for event in take.events})
    anchors = {name: [name] for name in classes}
    if rng.random() < 0.3:
        pattern = str(rng.choice(["{subject}_{run}.edf", "{subject}_{run}.edf", "S{subject}/S{subject}R{run}.edf"]))
        variant = Variant(truth, "edf_folder", {"name": "edf_folder", "pattern": pattern}, anchors=anchors)
        for take in truth.takes:
            file = SignalFile(take, "edf", 0.0, take.duration_s)
            file.notes = [Note(e.onset_s, e.duration_s, e.value) for e in take.events]
            variant.signals[pattern.format(subject=take.subject, run=take.run)] = file
        return variant
    variant = Variant(truth, "bids", {"name": "bids"}, anchors=anchors)
    kind = str(rng.choice(FORMATS))
    in_table = kind == "vhdr" or bool(rng.random() < 0.75)  # markers of BrainVision have names of another form
    session, is_shared = str(rng.choice(["", "ses-a"])), bool(rng.random() < 0.25)
    for take in truth.takes:
        entities = [f"sub-{take.subject}", *([session] if session else [])]
        stem = f"{'/'.join(entities)}/eeg/{'_'.join(entities)}_task-mi_run-{take.run}"
        file = SignalFile(take, kind, 0.0, take.duration_s)
        variant.signals[f"{stem}_eeg.{kind}"] = file
        if in_table:
            rows = [[f"{e.onset_s:g}", f"{e.duration_s:g}", e.value] for e in take.events]
            variant.sheets[f"{stem}_events.tsv"] = Sheet([["onset", "duration", "trial_type"], *rows])
        else:
            file.notes = [Note(e.onset_s, e.duration_s, e.value) for e in take.events]
        rows = [[name, "EEG", "uV", "good"] for name in ELECTRODES]
        place = "task-mi" if is_shared else stem
        variant.sheets[f"{place}_channels.tsv"] = Sheet([["name", "type", "units", "status"], *rows])
        variant.jsons[f"{stem}_eeg.json"] = {"SamplingFrequency": take.rate_hz, "EEGReference": "n/a"}
    rows = [[f"sub-{p.subject}", f"{p.age:g}", p.sex] for p in truth.persons]
    variant.sheets["participants.tsv"] = Sheet([["participant_id", "age", "sex"], *rows])
    return variant
