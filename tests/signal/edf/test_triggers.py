"""Trigger channels of EDF and BDF files, written by edfio and read by MNE as well."""

from pathlib import Path

import edfio
import mne
import numpy as np
import pytest

from edf_files import write_edf
from eegfm.signal.config import ReadParams
from eegfm.signal.edf.reader import EdfReader

RATE_HZ = 256
N = 20 * RATE_HZ


def codes(seed: int = 0) -> np.ndarray:
    """(N,) codes from 1 to 65535 that last for 1 to 10 samples, twenty of them."""
    rng = np.random.default_rng(seed)
    values = np.zeros(N)
    for start in np.sort(rng.choice(np.arange(1, N // 20 - 1), 20, replace=False)) * 20:
        values[start : start + rng.integers(1, 11)] = rng.integers(1, 1 << 16)
    return values


def write(
    path: Path, values: np.ndarray, limits: tuple[float, float], *, label: str = "Status", unit: str = ""
) -> None:
    bdf = path.suffix == ".bdf"
    kind = edfio.BdfSignal if bdf else edfio.EdfSignal
    eeg = np.random.default_rng(1).standard_normal(N) * 20
    signals = [
        kind(eeg, RATE_HZ, label="Cz", physical_dimension="uV", physical_range=(-500, 500)),
        kind(values, RATE_HZ, label=label, physical_dimension=unit, physical_range=limits),
    ]
    (edfio.Bdf if bdf else edfio.Edf)(signals).write(path)


def found(path: Path) -> list[tuple[float, str]]:
    return [(note.onset_s, note.text) for note in EdfReader(path, ReadParams()).header.triggers.codes]


def expected(values: np.ndarray) -> list[tuple[float, str]]:
    at = np.flatnonzero((np.diff(values, prepend=0) != 0) & (values != 0))
    return [(k / RATE_HZ, str(int(values[k]))) for k in at.tolist()]


def test_bdf_status_without_its_upper_bits(tmp_path: Path) -> None:
    """Bits 16 to 23 say CMS in range, low battery and the like; bit 23 makes a number negative."""
    values = codes()
    status = values + (1 << 20) + (1 << 16) * (np.arange(N) // RATE_HZ % 2) - (1 << 23) * (np.arange(N) > N // 2)
    write(tmp_path / "a.bdf", status, (-8388608, 8388607), unit="Boolean")

    assert found(tmp_path / "a.bdf") == expected(values)
    raw = mne.io.read_raw_bdf(tmp_path / "a.bdf", verbose="error")
    events = mne.find_events(raw, "Status", mask=0xFFFF, mask_type="and", shortest_event=1, verbose="error")
    assert found(tmp_path / "a.bdf") == [(at / RATE_HZ, str(code)) for at, _, code in events.tolist()]


def test_lengths_of_codes(tmp_path: Path) -> None:
    values = np.zeros(N)
    values[512:532] = 7
    write(tmp_path / "a.bdf", values, (-8388608, 8388607))
    (note,) = EdfReader(tmp_path / "a.bdf", ReadParams()).header.triggers.codes
    assert (note.onset_s, note.duration_s, note.text) == (2.0, 20 / RATE_HZ, "7")


@pytest.mark.parametrize(
    ("label", "limits", "unit"),
    [
        ("STI 014", (0, 65535), ""), ("Trigger", (0, 1000), "uV"), ("Status", (-32768, 32767), "Boolean"),
        ("trigger", (-3276.7, 3276.7), "V"), ("TRIG", (0, 255), ""),
    ],
)  # fmt: skip
def test_edf_codes_that_a_writer_scaled(tmp_path: Path, label: str, limits: tuple[float, float], unit: str) -> None:
    values = codes() % (250 if limits[1] < 1000 else 999)
    write(tmp_path / "a.edf", values, limits, label=label, unit=unit)
    assert found(tmp_path / "a.edf") == expected(values)


@pytest.mark.parametrize("limits", [(0, 65535), (-500, 500), (-262144, 262143)])
def test_bdf_status_that_a_writer_scaled(tmp_path: Path, limits: tuple[float, float]) -> None:
    values = codes() % 400
    write(tmp_path / "a.bdf", values, limits)
    assert found(tmp_path / "a.bdf") == expected(values)


def test_bdf_status_with_the_range_of_the_electrodes(tmp_path: Path) -> None:
    """The stored numbers are the codes, whatever the header says of their physical range."""
    values = codes()
    digital = values + (1 << 20)
    gain = 2 * 187470 / (2**24 - 1)
    write(tmp_path / "a.bdf", (digital + 2**23) * gain - 187470, (-187470, 187470), unit="uV")
    assert found(tmp_path / "a.bdf") == expected(values)


def test_a_code_above_32767_in_edf(tmp_path: Path) -> None:
    values = np.zeros(N)
    values[100:110] = 65280 - 65536
    write(tmp_path / "a.edf", values, (-32768, 32767))
    assert found(tmp_path / "a.edf") == [(100 / RATE_HZ, "65280")]


@pytest.mark.parametrize("name", ["a.edf", "a.bdf"])
@pytest.mark.parametrize("kind", ["wave", "counter", "pulses_of_a_voltage"])
def test_channels_that_hold_no_codes_are_named(tmp_path: Path, name: str, kind: str) -> None:
    time = np.arange(N)
    values = {
        "wave": 200 * np.sin(time / 7) + 200,
        "counter": time % 1000.0,
        "pulses_of_a_voltage": np.where(time % 500 > 480, 4.87, 0.031),
    }[kind]
    write(tmp_path / name, values, (-500.5, 1500.25), label="Trigger", unit="mV")
    triggers = EdfReader(tmp_path / name, ReadParams()).header.triggers
    assert (triggers.codes, triggers.unread) == ((), ("Trigger",))


def test_a_second_trigger_channel_is_named_and_not_added(tmp_path: Path) -> None:
    values = codes() % 100
    eeg = np.random.default_rng(1).standard_normal(N)
    signals = [
        edfio.EdfSignal(x, RATE_HZ, label=label, physical_range=(0, 65535))
        for label, x in (("STI 001", values % 2), ("Status", values), ("STI 002", np.zeros(N)))
    ]
    signals.append(edfio.EdfSignal(eeg, RATE_HZ, label="Cz", physical_dimension="uV", physical_range=(-50, 50)))
    edfio.Edf(signals).write(tmp_path / "a.edf")
    triggers = EdfReader(tmp_path / "a.edf", ReadParams()).header.triggers
    assert [(note.onset_s, note.text) for note in triggers.codes] == expected(values)
    assert triggers.unread == ("STI 001",)


def test_a_rate_of_its_own_and_gaps(tmp_path: Path) -> None:
    """Onsets are in recording time: records start at 0, 1, 5 and 6 s. A code that lasts over the gap has no start."""
    values = np.zeros(4 * 64)
    for start, code in ((10, 1), (64 * 2 - 3, 2), (64 * 2 + 20, 3), (64 * 3 + 1, 4)):
        values[start : start + 6] = code
    eeg_uv = np.random.default_rng(0).standard_normal(4 * 100) * 20
    write_edf(
        tmp_path / "a.bdf", [eeg_uv, values], ["Cz", "Status"], [100, 64], bits=24, reserved="BDF+D",
        onsets_s=[0.0, 1.0, 5.0, 6.0], ranges=[(-500, 500), (-8388608, 8388607)], units=["uV", "Boolean"],
    )  # fmt: skip
    assert found(tmp_path / "a.bdf") == [
        (10 / 64, "1"), (2 - 3 / 64, "2"), (5 + 20 / 64, "3"), (6 + 1 / 64, "4"),
    ]  # fmt: skip


def test_the_published_biosemi_file(shared_data: Path) -> None:
    folder = shared_data / "edf_corner_cases/mne-python/mne/io/edf/tests/data"
    path = folder / "test_bdf_stim_channel.bdf"
    raw = mne.io.read_raw_bdf(path, verbose="error")
    events = mne.find_events(raw, "Status", shortest_event=1, verbose="error").tolist()
    assert found(path) == [(at / 500, str(code)) for at, _, code in events]
    assert len(events) > 3
