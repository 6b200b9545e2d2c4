"""Mutations of EDF and BDF files: kinds and weights, reproducible from a generator."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edf_files import FIXED, PER_CHANNEL, field_bytes, locate
from fuzz.edf_bases import Base

FIELDS = [name for name, _ in (*FIXED, *PER_CHANNEL)]
VALUES = [
    "-1", "0", "1", "nan", "inf", "", "1e9", "99999999", "-32768", "2", b"\0", "1,5", "abc", "uv", "UV", "microV", "V",
    "100", " 7", "0x10", "1_0", "EDF+D", "EDF+C", "BIOSEMI",
]  # fmt: skip
ABOUT_THE_FILE = {"patient", "recording", "start date", "start time", "header bytes", "reserved"}
"""Fields of the file that neither signal nor timing depend on; the size of the header follows from the signals."""
ABOUT_THE_CHANNEL = {"label", "transducer", "prefilter", "channel reserved"}
MAX_SLIP_BYTES = 64
BLOCK_BYTES = 256


@dataclass(frozen=True)
class Mutated:
    """A damaged file.

    Args:
        kind: What was done.
        detail: Where.
        data: Its bytes.
        suffix: Its extension.
        is_intact: Whether nothing was touched that signal, unit, rate or timing depend on.
        onsets_s: When its records start now.
    """

    kind: str
    detail: str
    data: bytes
    suffix: str
    is_intact: bool
    onsets_s: tuple[float, ...]


@dataclass
class _Layout:
    """Where the header and the samples of a base lie."""

    base: Base

    def __post_init__(self) -> None:
        data = self.base.data
        self.n_signals = int(data[252:256])
        self.header_bytes = 256 * (self.n_signals + 1)
        self.n_per_record = [int(self.field("samples per record", i)) for i in range(self.n_signals)]
        self.record_bytes = sum(self.n_per_record) * self.base.bits // 8
        self.n_records = (len(data) - self.header_bytes) // self.record_bytes

    def field(self, name: str, channel: int) -> str:
        at, width = locate(self.base.data, name, channel)
        return self.base.data[at : at + width].decode("latin-1").strip()

    def is_eeg(self, channel: int) -> bool:
        return self.field("label", channel) not in {"ECG", "Temp rectal", "EDF Annotations", "BDF Annotations"}

    def channel_at(self, position: int) -> int:
        """The channel that a byte of the data belongs to."""
        ends = np.cumsum(self.n_per_record) * self.base.bits // 8
        return int(np.searchsorted(ends, (position - self.header_bytes) % self.record_bytes, side="right"))

    def field_at(self, position: int) -> tuple[str, int]:
        """The header field that a byte belongs to, and its channel."""
        for name, width in FIXED:
            if position < width:
                return name, 0
            position -= width
        for name, width in PER_CHANNEL:
            if position < width * self.n_signals:
                return name, position // width
            position -= width * self.n_signals
        raise ValueError(position)

    def matters(self, name: str, channel: int, value: bytes) -> bool:
        """Whether the signal or its timing depends on a field."""
        if name == "reserved":
            return b"+D" in value or b"+D" in self.base.data[192:236]
        if name in ABOUT_THE_FILE | ABOUT_THE_CHANNEL:
            # Without its label, an annotation channel that states gaps is lost.
            return (
                name == "label" and "Annotations" in self.field("label", channel) and b"+D" in self.base.data[192:236]
            )
        return name == "samples per record" or name in dict(FIXED) or self.is_eeg(channel)


Mutate = Callable[[_Layout, np.random.Generator], tuple[bytes, str, bool]]


def _field(at: _Layout, rng: np.random.Generator) -> tuple[bytes, str, bool]:
    name = FIELDS[rng.integers(len(FIELDS))]
    value = VALUES[rng.integers(len(VALUES))]
    channel = int(rng.integers(at.n_signals))
    start, width = locate(at.base.data, name, channel)
    raw = field_bytes(value[:width], width)
    data = at.base.data[:start] + raw + at.base.data[start + width :]
    label = f" of {at.field('label', channel)}" if name in dict(PER_CHANNEL) else ""
    return data, f"{name}{label} = {value!r}", not at.matters(name, channel, raw)


def _header_bytes(at: _Layout, rng: np.random.Generator) -> tuple[bytes, str, bool]:
    data = bytearray(at.base.data)
    details, intact = [], True
    for position in rng.integers(at.header_bytes, size=rng.integers(1, 4)).tolist():
        data[position] = int(rng.integers(256))
        name, channel = at.field_at(position)
        start, width = locate(at.base.data, name, channel)
        value = bytes(data[start : start + width])
        details.append(f"{name} {channel} = {value!r}")
        intact &= not at.matters(name, channel, value)
    return bytes(data), "; ".join(details), intact


def _truncate(at: _Layout, rng: np.random.Generator) -> tuple[bytes, str, bool]:
    low = at.header_bytes if rng.random() < 0.5 else 0
    n_bytes = int(rng.integers(low, len(at.base.data)))
    return at.base.data[:n_bytes], f"to {n_bytes} bytes", False


def _delete(at: _Layout, rng: np.random.Generator) -> tuple[bytes, str, bool]:
    n, position = int(rng.integers(1, MAX_SLIP_BYTES + 1)), int(rng.integers(len(at.base.data)))
    return at.base.data[:position] + at.base.data[position + n :], f"{n} bytes at {position}", False


def _insert(at: _Layout, rng: np.random.Generator) -> tuple[bytes, str, bool]:
    n, position = int(rng.integers(1, MAX_SLIP_BYTES + 1)), int(rng.integers(len(at.base.data) + 1))
    data = at.base.data[:position] + rng.bytes(n) + at.base.data[position:]
    return data, f"{n} bytes at {position} of {len(at.base.data)}", position == len(at.base.data)


def _data_bits(at: _Layout, rng: np.random.Generator) -> tuple[bytes, str, bool]:
    data, intact = bytearray(at.base.data), True
    bits = []
    for position in rng.integers(at.header_bytes, len(data), size=rng.integers(1, 9)).tolist():
        bits.append(int(rng.integers(8)))
        data[position] ^= 1 << bits[-1]
        label = at.field("label", at.channel_at(position))
        intact &= label in {"ECG", "Temp rectal"}
    return bytes(data), f"bits {bits}", intact


def _zeros(at: _Layout, rng: np.random.Generator) -> tuple[bytes, str, bool]:
    n_data = len(at.base.data) - at.header_bytes
    n = round(n_data * rng.uniform(0.01, 0.5))
    start = n_data - n if rng.random() < 0.5 else int(rng.integers(n_data - n + 1))
    start += at.header_bytes
    return at.base.data[:start] + bytes(n) + at.base.data[start + n :], f"{n} bytes at {start}", False


def _text_mode(at: _Layout, rng: np.random.Generator) -> tuple[bytes, str, bool]:
    if rng.random() < 0.5:
        return at.base.data.replace(b"\n", b"\r\n"), "CR LF", False
    return at.base.data.partition(b"\x1a")[0], "ends at 0x1A", False


def _swap(at: _Layout, rng: np.random.Generator) -> tuple[bytes, str, bool]:
    if rng.random() < 0.5:
        return at.base.data, "extension", True
    blocks = [at.base.data[i : i + BLOCK_BYTES] for i in range(0, len(at.base.data), BLOCK_BYTES)]
    a, b = rng.choice(len(blocks) - 1, 2, replace=False).tolist()  # the last block may be a short one
    blocks[a], blocks[b] = blocks[b], blocks[a]
    return b"".join(blocks), f"blocks {a} and {b}", False


KINDS: dict[str, tuple[int, Mutate | None]] = {
    "field": (3, _field),
    "header byte": (2, _header_bytes),
    "truncate": (2, _truncate),
    "delete": (1, _delete),
    "insert": (1, _insert),
    "data bits": (1, _data_bits),
    "zeros": (1, _zeros),
    "text mode": (1, _text_mode),
    "swap": (1, _swap),
    "gap": (1, None),
}
"""Weight of each kind, and what does it; a gap also changes what is true."""


def draw_kind(rng: np.random.Generator) -> str:
    """Draw a kind by weight."""
    weights = np.array([weight for weight, _ in KINDS.values()], dtype=float)
    return str(rng.choice(list(KINDS), p=weights / weights.sum()))


def mutate(base: Base, kind: str, rng: np.random.Generator) -> Mutated:
    """Damage a file; ``gap`` needs one that states its onsets."""
    at = _Layout(base)
    does = KINDS[kind][1]
    if does is None:
        return _gap(at, rng)
    data, detail, is_intact = does(at, rng)
    suffix = {".edf": ".bdf", ".bdf": ".edf"}[base.suffix] if detail == "extension" else base.suffix
    return Mutated(kind, detail, data, suffix, is_intact or data == base.data, base.onsets_s)


def _gap(at: _Layout, rng: np.random.Generator) -> Mutated:
    """Move the onsets of the records from some record on, and say so in the header or not."""
    base, data = at.base, bytearray(at.base.data)
    first, gap_s = int(rng.integers(1, at.n_records)), round(float(rng.uniform(1, 60)), 2)
    onsets_s = np.array(base.onsets_s)
    onsets_s[first:] += gap_s
    channel = next(i for i in range(at.n_signals) if "Annotations" in at.field("label", i))
    start = at.header_bytes + sum(at.n_per_record[:channel]) * base.bits // 8
    for record in range(first, at.n_records):
        position = start + record * at.record_bytes
        width = at.n_per_record[channel] * base.bits // 8
        old = bytes(data[position : position + width])
        new = b"%+.10g\x14\x14\0" % onsets_s[record]
        rest = old[old.index(b"\0") + 1 :]
        data[position : position + width] = (new + rest)[:width].ljust(width, b"\0")
    kind = b"DC"[rng.integers(2)].to_bytes(1, "big")
    data[192:236] = (b"EDF+" if base.bits == 16 else b"BDF+") + kind.ljust(40)
    return Mutated(
        "gap", f"{gap_s} s before record {first}, {kind!r}", bytes(data), base.suffix, False, tuple(onsets_s)
    )
