from datetime import date
from pathlib import Path

import edfio
import mne
import numpy as np

from eegfm.corpora.simulated.files import bdf_bytes, edf_bytes, set_bytes
from eegfm.corpora.simulated.tasks import Event

from .conftest import read_uv

SIGNAL = (np.random.default_rng(0).standard_normal((3, 1000)) * 40).astype(np.float32)
LABELS = ["EEG FP1-REF", "EEG A1-REF", "EEG CZ-REF"]


def _patient() -> edfio.Patient:
    return edfio.Patient(code="a", sex="F", birthdate=date(1950, 1, 1), name="a", additional=("Age:35",))


def test_edf_comes_back_within_half_a_step_and_clips(tmp_path: Path) -> None:
    signal = SIGNAL.copy()
    signal[0, :2] = 1e4, -1e4
    path = tmp_path / "a.edf"
    path.write_bytes(edf_bytes(signal, LABELS, 250, _patient(), "a_s001"))
    data, names, rate_hz = read_uv(path)
    assert (names, rate_hz) == (LABELS, 250)
    np.testing.assert_allclose(data, np.clip(signal, -3276.7, 3276.7), atol=0.0501)
    header = path.read_bytes()[:256].decode()
    assert "a F 01-JAN-1950 a Age:35" in header
    assert "Startdate 01-JAN-1985 a_s001 X SIMULATED" in header
    assert header[168:176] == "01.01.85"


def test_bdf_comes_back_within_half_a_step(tmp_path: Path) -> None:
    path = tmp_path / "a.bdf"
    path.write_bytes(bdf_bytes(SIGNAL, LABELS, 100, "a"))
    data, names, rate_hz = read_uv(path)
    assert (names, rate_hz) == (LABELS, 100)
    np.testing.assert_allclose(data, SIGNAL, atol=0.000501)
    assert path.stat().st_size == 256 * 4 + 3 * SIGNAL.size


def test_set_comes_back_exactly_with_its_events(tmp_path: Path) -> None:
    path = tmp_path / "a.set"
    events = [Event(0.0, "9999", "9999"), Event(1.25, "video_start", "84")]
    path.write_bytes(set_bytes(SIGNAL, LABELS, 500, "a", events))
    raw = mne.io.read_raw_eeglab(path, preload=True, verbose="error")
    assert (raw.ch_names, raw.info["sfreq"]) == (LABELS, 500)
    np.testing.assert_allclose(raw.get_data() * 1e6, SIGNAL, rtol=1e-6)
    assert list(raw.annotations.description) == ["9999", "video_start"]
    np.testing.assert_allclose(raw.annotations.onset, [0, 1.25])


def test_set_holds_no_clock() -> None:
    assert set_bytes(SIGNAL, LABELS, 500, "a", [])[:124].startswith(b"MATLAB 5.0 MAT-file, Platform: SIMULATED")
