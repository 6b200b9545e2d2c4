"""Small simulated corpora, written once per session, with effects large enough to be measured in seconds of signal."""

from pathlib import Path

import mne
import numpy as np
import pytest
from numpy.typing import NDArray

from eegfm.corpora.simulated.config import Effects, SimulatedHbn, SimulatedTuh
from eegfm.corpora.simulated.writer import write_simulated

STRONG = Effects(
    abnormal_log_slow=1.5,
    slow_person_log_sd=0.1,
    abnormal_alpha_hz=-1.0,
    alpha_peak_person_sd_hz=0.05,
    sex_log_beta=2.0,
    beta_person_log_sd=0.1,
    press_uv=60.0,
    press_jitter_s=0.01,
    movie_uv=40.0,
    movie_shared_ratio=0.9,
)


def read_uv(path: Path) -> tuple[NDArray[np.float64], list[str], float]:
    """(C, T) microvolts, names and rate, read by MNE."""
    readers = {".edf": mne.io.read_raw_edf, ".bdf": mne.io.read_raw_bdf, ".set": mne.io.read_raw_eeglab}
    raw = readers[path.suffix](path, preload=True, verbose="error")
    return raw.get_data() * 1e6, raw.ch_names, raw.info["sfreq"]


@pytest.fixture(scope="session")
def tuh_config() -> SimulatedTuh:
    return SimulatedTuh(n_subjects=8, duration_s=30, two_sessions_ratio=0.25, effects=STRONG)


@pytest.fixture(scope="session")
def tuh_root(tuh_config: SimulatedTuh, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("simulated") / "tuh"
    write_simulated(tuh_config, root)
    return root


@pytest.fixture(scope="session")
def hbn_config() -> SimulatedHbn:
    return SimulatedHbn(n_subjects=4, resting_s=70, ccd_s=60, movie_s=40, missing_ratio=0.5, effects=STRONG)


@pytest.fixture(scope="session")
def hbn_root(hbn_config: SimulatedHbn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("simulated") / "hbn"
    write_simulated(hbn_config, root)
    return root
