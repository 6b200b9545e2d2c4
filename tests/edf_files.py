"""Writes EDF, EDF+ and BDF files for tests: any signal, any header field, gaps, notes, tones.

Written from the standard alone, so that it shares no table and no mistake with the reader under test.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

FIXED = (
    ("version", 8),
    ("patient", 80),
    ("recording", 80),
    ("start date", 8),
    ("start time", 8),
    ("header bytes", 8),
    ("reserved", 44),
    ("number of records", 8),
    ("record duration", 8),
    ("number of signals", 4),
)
PER_CHANNEL = (
    ("label", 16),
    ("transducer", 80),
    ("unit", 8),
    ("physical minimum", 8),
    ("physical maximum", 8),
    ("digital minimum", 8),
    ("digital maximum", 8),
    ("prefilter", 80),
    ("samples per record", 8),
    ("channel reserved", 32),
)
NOTE_BYTES = 240


def write_edf(
    path: Path,
    signals_uv: Sequence[np.ndarray],
    labels: Sequence[str],
    rates_hz: float | Sequence[float],
    *,
    record_s: float = 1.0,
    full_scale_uv: float = 500.0,
    bits: int = 16,
    patient: str = "X X X X",
    reserved: str = "",
    onsets_s: Sequence[float | None] | None = None,
    notes: Sequence[tuple[float, float | None, bytes]] = (),
    ranges: Sequence[tuple[float, float]] | None = None,
    units: Sequence[str] | None = None,
    notes_at: int | None = None,
) -> list[np.ndarray]:
    """Write one file; incomplete last records are filled with zeros.

    Args:
        signals_uv: One array per channel, each at its own rate.
        rates_hz: One rate, or one per channel; 0 for a channel without samples.
        bits: 16 writes EDF, 24 writes BDF.
        onsets_s: Start of each record; with ``notes`` it makes an EDF+ file (an annotation channel, last).
        onsets_s: Start of each record; with ``notes`` it makes an EDF+ file (an annotation channel, last).
        notes: (onset_s, duration_s, text), all written into the first record.
        ranges: Physical minimum and maximum of each channel in its unit, each of at most eight characters; all
            ±``full_scale_uv`` by default. Signals are numbers in the channel's unit.
        units: Unit of each channel, all ``uV`` by default.
        notes_at: Place of the annotation channel among the others; last by default.

    Returns:
        Per channel, the numbers that the file holds exactly (quantised, float64), in the channel's unit.
    """
    rates = [float(rates_hz)] * len(labels) if np.isscalar(rates_hz) else [float(r) for r in rates_hz]
    n_per_record = [round(rate * record_s) for rate in rates]
    n_records = max(math.ceil(len(x) / n) for x, n in zip(signals_uv, n_per_record, strict=True) if n)
    n_channels = len(labels)
    top = (1 << (bits - 1)) - 1
    limits = [(-full_scale_uv, full_scale_uv)] * n_channels if ranges is None else list(ranges)
    digital, truth = [], []
    for x, n, (low, high) in zip(signals_uv, n_per_record, limits, strict=True):
        gain = (high - low) / (2 * top + 1)
        offset = high - top * gain
        padded = np.zeros(n_records * n)
        padded[: len(x)] = x[: padded.size]
        digital.append(np.clip(np.rint((padded - offset) / gain), -top - 1, top).astype(np.int32))
        truth.append(digital[-1] * gain + offset)
    parts = [_to_bytes(d.reshape(n_records, n), bits) for d, n in zip(digital, n_per_record, strict=True)]

    columns = {
        "label": list(labels),
        "unit": ["uV"] * n_channels if units is None else list(units),
        "physical minimum": [f"{low:.12g}" for low, _ in limits],
        "physical maximum": [f"{high:.12g}" for _, high in limits],
        "digital minimum": [str(-top - 1)] * n_channels,
        "digital maximum": [str(top)] * n_channels,
        "samples per record": [str(n) for n in n_per_record],
    }
    if onsets_s is not None or notes:
        onsets = [i * record_s for i in range(n_records)] if onsets_s is None else list(onsets_s)
        at = n_channels if notes_at is None else notes_at
        parts.insert(at, _note_records(onsets, notes, NOTE_BYTES))
        label = "BDF Annotations" if bits == 24 else "EDF Annotations"
        extra = (label, "", "-1", "1", str(-top - 1), str(top), str(NOTE_BYTES * 8 // bits))
        for name, value in zip(columns, extra, strict=True):
            columns[name].insert(at, value)
    fixed = {
        "version": "0" if bits == 16 else "\xffBIOSEMI",
        "patient": patient,
        "recording": "Startdate 01-JAN-2020 X X X",
        "start date": "01.01.20",
        "start time": "12.00.00",
        "header bytes": str(256 * (len(parts) + 1)),
        "reserved": reserved,
        "number of records": str(n_records),
        "record duration": f"{record_s:g}",
        "number of signals": str(len(parts)),
    }
    head = b"".join(field_bytes(fixed[name], width) for name, width in FIXED)
    for name, width in PER_CHANNEL:
        head += b"".join(field_bytes(value, width) for value in columns.get(name, [""] * len(parts)))
    path.write_bytes(head + b"".join(b"".join(record) for record in zip(*parts, strict=True)))
    return truth


def write_tones(
    path: Path,
    labels: Sequence[str],
    tones_hz: Sequence[float],
    duration_s: float,
    rate_hz: float,
    *,
    amplitude_uv: float = 50.0,
    noise_uv: float = 0.0,
    seed: int = 0,
    **options: object,
) -> np.ndarray:
    """Write a file in which channel k carries frequency ``tones_hz[k]``; return (C, T) microvolts.

    A transposition, a permutation of channels or a wrong unit anywhere behind the reader shows up as a peak
    at the wrong frequency or of the wrong height.
    """
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    noise = noise_uv * np.random.default_rng(seed).standard_normal((len(labels), time_s.size))
    signals = amplitude_uv * np.sin(2 * np.pi * np.asarray(tones_hz)[:, None] * time_s) + noise
    return np.stack(write_edf(path, list(signals), labels, rate_hz, **options))


def set_field(path: Path, name: str, value: str | bytes, channel: int = 0) -> None:
    """Overwrite one header field in place, of the whole file or of one channel."""
    data = bytearray(path.read_bytes())
    at, width = locate(bytes(data), name, channel)
    data[at : at + width] = field_bytes(value, width)
    path.write_bytes(bytes(data))


def decode(path: Path, labels: Sequence[str]) -> list[np.ndarray]:
    """Read channels byte by byte, in double precision and in their own unit; for units and gaps ask somebody else."""
    data = path.read_bytes()
    n_signals, n_bytes = int(data[252:256]), 3 if data[:1] == b"\xff" else 2

    def number(name: str, channel: int) -> float:
        at, width = locate(data, name, channel)
        return float(data[at : at + width].decode().strip(" \0").replace(",", "."))

    n_per_record = [int(number("samples per record", i)) for i in range(n_signals)]
    starts = np.cumsum([0, *n_per_record]) * n_bytes
    records = range(256 * (n_signals + 1), len(data) - int(starts[-1]) + 1, int(starts[-1]))
    out = []
    for channel in [_find(data, label, n_signals) for label in labels]:
        pmin, pmax, dmin, dmax = (
            number(f"{kind} {end}imum", channel) for kind in ("physical", "digital") for end in ("min", "max")
        )
        places = (at + i for at in records for i in range(starts[channel], starts[channel + 1], n_bytes))
        digital = [int.from_bytes(data[i : i + n_bytes], "little", signed=True) for i in places]
        out.append((np.array(digital, dtype=np.float64) - dmin) / (dmax - dmin) * (pmax - pmin) + pmin)
    return out


def _find(data: bytes, label: str, n_signals: int) -> int:
    found = [data[256 + 16 * i : 272 + 16 * i].decode("latin-1").strip() for i in range(n_signals)]
    return found.index(label)


def locate(data: bytes, name: str, channel: int) -> tuple[int, int]:
    at = 0
    for field, width in FIXED:
        if field == name:
            return at, width
        at += width
    n = int(data[252:256])
    for field, width in PER_CHANNEL:
        if field == name:
            return at + channel * width, width
        at += width * n
    raise KeyError(name)


def field_bytes(value: str | bytes, width: int) -> bytes:
    raw = value if isinstance(value, bytes) else value.encode("latin-1")
    assert len(raw) <= width, (value, width)
    return raw.ljust(width)


def _to_bytes(records: np.ndarray, bits: int) -> list[bytes]:
    wide = np.ascontiguousarray(records, dtype="<i4")
    keep = wide.view(np.uint8).reshape(*records.shape, 4)[..., : bits // 8]
    return [record.tobytes() for record in keep]


def _note_records(
    onsets_s: Sequence[float | None], notes: Sequence[tuple[float, float | None, bytes]], n_bytes: int
) -> list[bytes]:
    records = []
    for i, onset in enumerate(onsets_s):
        raw = b"" if onset is None else b"%+.10g\x14\x14\0" % onset
        for start, duration, text in notes if i == 0 else ():
            length = b"" if duration is None else b"\x15%.10g" % duration
            raw += b"%+.10g" % start + length + b"\x14" + text + b"\x14\0"
        assert len(raw) <= n_bytes
        records.append(raw.ljust(n_bytes, b"\0"))
    return records
