"""Valid EDF and BDF files of many kinds with their true contents, as a start for mutations."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from edf_files import decode, write_edf

ELECTRODES = [
    "Fp1",
    "Fp2",
    "F7",
    "F3",
    "Fz",
    "F4",
    "F8",
    "T7",
    "C3",
    "Cz",
    "C4",
    "T8",
    "P7",
    "P3",
    "Pz",
    "P4",
    "P8",
    "O1",
    "O2",
    "Oz",
    "AF3",
    "AF4",
    "FC1",
    "FC2",
    "FC5",
    "FC6",
    "CP1",
    "CP2",
    "CP5",
    "CP6",
    "PO3",
    "PO4",
]
MAX_SAMPLES = 200_000
"""Of all channels of a file together, so that thousands of files are converted within minutes."""


@dataclass(frozen=True)
class Base:
    """A valid file.

    Args:
        data: Its bytes.
        bits: 16 (EDF) or 24 (BDF).
        rate_hz: Rate of the electrodes.
        record_s: Duration of a record.
        onsets_s: Start of each record in recording time.
        has_onsets: Whether the file states them.
        truth_uv: By electrode, what the file holds.
        step_uv: By electrode, microvolts per digital step.
    """

    data: bytes
    bits: int
    rate_hz: float
    record_s: float
    onsets_s: tuple[float, ...]
    has_onsets: bool
    truth_uv: dict[str, NDArray[np.float64]]
    step_uv: dict[str, float]

    @property
    def suffix(self) -> str:
        return ".edf" if self.bits == 16 else ".bdf"


def make_base(rng: np.random.Generator, folder: Path) -> Base:
    """Draw a file: 3 to 32 electrodes, 10 to 60 records, one to three rates, EDF or BDF, plain or plus."""
    bits = int(rng.choice([16, 24], p=[0.65, 0.35]))
    rate_hz = float(rng.choice([100, 128, 160, 200, 250, 256, 500]))
    record_s = float(rng.choice([0.5, 1, 1, 1, 2]))
    names = sorted(rng.permutation(ELECTRODES)[: rng.integers(3, 33)].tolist(), key=ELECTRODES.index)
    most = int(MAX_SAMPLES / (rate_hz * record_s * len(names)))
    n_records = int(rng.integers(10, min(max(most, 12), 60) + 1))
    time_s = np.arange(round(n_records * record_s * rate_hz)) / rate_hz
    signals = _eeg(rng, len(names), time_s)
    way = str(rng.choice(["shared", "two", "fitted"], p=[0.7, 0.1, 0.2]))
    # A coupling capacitor takes offsets away; amplifiers without one have a range wide enough for them.
    spread_uv = rng.choice([0, 60, 3000], p=[0.6, 0.2, 0.2]) if bits == 24 or way == "fitted" else 0
    signals = [x + spread_uv * rng.standard_normal() for x in signals]
    ranges = _ranges(rng, way, signals, bits)
    labels = [f"EEG {name.upper()}-REF" for name in names] if rng.random() < 0.5 else list(names)
    rates, units = [rate_hz] * len(names), ["uV"] * len(names)
    rows = [(label, *rest) for label, *rest in zip(labels, signals, rates, units, ranges, strict=True)]
    for row in _auxiliary(rng, rate_hz, record_s, n_records):
        rows.insert(int(rng.integers(0, len(rows) + 1)), row)
    labels, signals, rates, units, ranges = (list(column) for column in zip(*rows, strict=True))
    kind = str(rng.choice(["", "C", "D"], p=[0.5, 0.4, 0.1]))
    onsets_s = np.arange(n_records) * record_s
    if kind == "D":
        onsets_s[n_records // 2 :] += float(rng.integers(1, 30))
    path = folder / f"base{bits}"
    truth = write_edf(
        path, signals, labels, rates, record_s=record_s, bits=bits, ranges=ranges, units=units,
        patient="X M 01-JAN-1980 X", reserved=f"{'EDF' if bits == 16 else 'BDF'}+{kind}" if kind else "",
        onsets_s=onsets_s.tolist() if kind else None, notes=[(1.5, 0.5, b"note")] if kind else (),
        notes_at=int(rng.integers(0, len(labels) + 1)) if rng.random() < 0.2 else None,
    )  # fmt: skip
    kept = [i for i, rate in enumerate(rates) if _name(labels[i]) in names and rate == rate_hz]
    steps = [(high - low) / (2**bits - 1) for low, high in ranges]
    return Base(
        path.read_bytes(), bits, rate_hz, record_s, tuple(onsets_s.tolist()), bool(kind),
        {_name(labels[i]): truth[i] for i in kept}, {_name(labels[i]): steps[i] for i in kept},
    )  # fmt: skip


def real_base(path: Path, n_records: int, rate_hz: float) -> Base:
    """A real EDF file with records of one second, all of its channels electrodes at one rate, in microvolts."""
    data = path.read_bytes()
    labels = [data[256 + 16 * i : 272 + 16 * i].decode().strip() for i in range(int(data[252:256]))]
    electrodes = [label for label in labels if "Annotations" not in label]
    truth = dict(zip(map(_name, electrodes), decode(path, electrodes), strict=True))
    onsets_s = tuple(float(i) for i in range(n_records))
    step_uv = {name: float(np.diff(np.unique(x)).min()) for name, x in truth.items()}
    return Base(data, 16, rate_hz, 1.0, onsets_s, len(electrodes) < len(labels), truth, step_uv)


def _name(label: str) -> str:
    text = label.removeprefix("EEG ").removesuffix("-REF").upper()
    text = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}.get(text, text)
    return next((name for name in ELECTRODES if name.upper() == text), "")


def _eeg(rng: np.random.Generator, n_channels: int, time_s: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Background with more power at low frequencies, an alpha rhythm, amplifier noise."""
    background = lfilter([1.0], [1.0, -0.95], rng.standard_normal((n_channels, time_s.size)), axis=1)
    scale_uv = rng.uniform(10, 40, (n_channels, 1)) / 3.2
    alpha = rng.uniform(0, 15, (n_channels, 1)) * np.sin(2 * np.pi * 10 * time_s)
    noise_uv = 0.5 * rng.standard_normal((n_channels, time_s.size))
    return list(scale_uv * background + alpha + noise_uv)


def _ranges(
    rng: np.random.Generator, way: str, signals: list[NDArray[np.float64]], bits: int
) -> list[tuple[float, float]]:
    """One range for all electrodes, two kinds, or one fitted to each channel's data, as writers do."""
    if way == "fitted":
        return [(float(f"{x.min() - 0.01:.5g}"), float(f"{x.max() + 0.01:.5g}")) for x in signals]
    full_uv = 187500.0 if bits == 24 else float(rng.choice([500, 800, 3276.8, 8192]))
    other_uv = full_uv * 1.25 if way == "two" else full_uv
    n_other = len(signals) // 2
    return [(-full_uv, full_uv)] * (len(signals) - n_other) + [(-other_uv, other_uv)] * n_other


def _auxiliary(
    rng: np.random.Generator, rate_hz: float, record_s: float, n_records: int
) -> list[tuple[str, NDArray[np.float64], float, str, tuple[float, float]]]:
    """No, one or two channels that are no electrodes, at their own rates."""
    rows = []
    duration_s = n_records * record_s
    if rng.random() < 0.4:
        n = round(2 * rate_hz * duration_s)
        rows.append(("ECG", rng.normal(0, 0.3, n), 2 * rate_hz, "mV", (-5.0, 5.0)))
    if rng.random() < 0.4:
        rows.append(("Temp rectal", 37 + rng.normal(0, 0.1, round(4 * duration_s)), 4.0, "degC", (34.0, 40.0)))
    return rows
