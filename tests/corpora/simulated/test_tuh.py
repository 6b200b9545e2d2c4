import re
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import welch
from scipy.stats import spearmanr

from eegfm.corpora.simulated.config import Effects, SimulatedTuh
from eegfm.corpora.simulated.people import tuh_person
from eegfm.corpora.simulated.tuh import subject_name
from eegfm.corpora.simulated.writer import write_simulated

from .conftest import read_uv

# fmt: off
NAMES = (
    "FP1", "FP2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2", "F7", "F8", "T3", "T4", "T5", "T6", "A1", "A2",
    "FZ", "CZ", "PZ",
)
# fmt: on
LABELS = {f"EEG {name}-REF" for name in NAMES}


def _files(root: Path) -> list[Path]:
    return sorted(root.rglob("*.edf"))


def _band(data: np.ndarray, rate_hz: float, low_hz: float, high_hz: float) -> np.ndarray:
    hz, power = welch(data, rate_hz, nperseg=int(4 * rate_hz))
    return power[:, (hz >= low_hz) & (hz < high_hz)].sum(axis=1)


def test_names_count_up() -> None:
    assert [subject_name(k) for k in (0, 24, 25)] == ["aaaaaaab", "aaaaaaaz", "aaaaaaba"]


def test_tree_is_that_of_tuab(tuh_root: Path) -> None:
    paths = [p.relative_to(tuh_root).as_posix() for p in _files(tuh_root)]
    pattern = re.compile(r"edf/(train|eval)/(normal|abnormal)/01_tcp_ar/([a-z]{8})_s00[12]_t000\.edf")
    matches = [pattern.fullmatch(p) for p in paths]
    assert all(matches)
    found = {m[3]: (m[1], m[2]) for m in matches if m}
    assert len(found) == 8
    assert len(paths) == 10  # a quarter of the persons has a second session
    assert sorted(found.values()) == [
        ("eval", "abnormal"),
        ("eval", "normal"),
        *[("train", "abnormal")] * 3,
        *[("train", "normal")] * 3,
    ]
    assert "SIMULATED" in (tuh_root / "AAREADME.txt").read_text()


def test_files_look_like_clinical_recordings(tuh_root: Path, tuh_config: SimulatedTuh) -> None:
    rates, orders, extra = set(), set(), 0
    for path in _files(tuh_root):
        data, names, rate_hz = read_uv(path)
        scalp = [i for i, name in enumerate(names) if name in LABELS]
        assert len(scalp) == 21
        extra += "EEG EKG1-REF" in names
        assert data.shape[1] == tuh_config.duration_s * rate_hz
        sd = data[scalp].std(axis=1)
        assert (sd.min() > 4, sd.max() < 80) == (True, True)
        # average reference, up to the rounding of 21 values
        assert np.abs(data[scalp].sum(axis=0)).max() < 21 * 0.051
        rates.add(rate_hz)
        orders.add(tuple(name for name in names if name in LABELS))
    assert rates == {250, 256}
    assert len(orders) > 2
    assert 0 < extra < 10


def test_patient_field_carries_age_and_sex(tuh_root: Path, tuh_config: SimulatedTuh) -> None:
    for number in range(8):
        person = tuh_person(tuh_config, number)
        path = next(tuh_root.rglob(f"{subject_name(number)}_s001_t000.edf"))
        field = path.read_bytes()[8:88].decode()
        assert re.findall(r"\bAge:(\d+)", field) == [str(int(person.age_years))]
        assert f" {person.sex} " in field


def test_abnormal_persons_are_slow(tuh_root: Path) -> None:
    slowness: dict[str, list[float]] = {"normal": [], "abnormal": []}
    for path in _files(tuh_root):
        data, names, rate_hz = read_uv(path)
        picks = [names.index(f"EEG {n}-REF") for n in ("T3", "T4", "FZ", "PZ", "F3", "F4")]
        ratio = _band(data[picks], rate_hz, 1, 7).mean() / _band(data[picks], rate_hz, 14, 30).mean()
        slowness[path.parent.parent.name].append(float(np.log(ratio)))
    assert np.mean(slowness["abnormal"]) - np.mean(slowness["normal"]) > 1
    rank = np.mean([a > b for a in slowness["abnormal"] for b in slowness["normal"]])
    assert rank > 0.9


def test_alpha_peak_moves_with_age(tmp_path: Path) -> None:
    effects = Effects(age_adult_hz_per_year=-0.05, alpha_peak_person_sd_hz=0.02, alpha_person_log_sd=0.1)
    config = SimulatedTuh(n_subjects=10, duration_s=60, abnormal_ratio=0, two_sessions_ratio=0, effects=effects)
    write_simulated(config, tmp_path)
    ages, peaks = [], []
    for number in range(10):
        data, names, rate_hz = read_uv(next(tmp_path.rglob(f"{subject_name(number)}_*.edf")))
        hz, power = welch(data[[names.index("EEG O1-REF"), names.index("EEG O2-REF")]], rate_hz, nperseg=1024)
        band = (hz > 5.5) & (hz < 13)
        weights = power.mean(axis=0)[band] ** 2
        peaks.append(float((hz[band] * weights).sum() / weights.sum()))
        ages.append(tuh_person(config, number).age_years)
    assert spearmanr(ages, peaks).statistic < -0.85
    assert max(peaks) - min(peaks) == pytest.approx(0.05 * (max(ages) - min(ages)), rel=0.5)


def test_women_have_more_beta(tuh_root: Path, tuh_config: SimulatedTuh) -> None:
    beta: dict[str, list[float]] = {"M": [], "F": []}
    for number in range(8):
        data, names, rate_hz = read_uv(next(tuh_root.rglob(f"{subject_name(number)}_s001_t000.edf")))
        picks = [names.index("EEG C3-REF"), names.index("EEG C4-REF")]
        beta[tuh_person(tuh_config, number).sex].append(float(_band(data[picks], rate_hz, 15, 25).mean()))
    assert min(beta["F"]) > max(beta["M"])
