"""Units that the user knows better than the file, in every format."""

import logging
from pathlib import Path

import numpy as np
import pybv
import pytest

from bids_tree import write_eeglab, write_tree
from edf_files import write_edf
from eegfm.corpora.config import BidsCorpus
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.jobs.ingest.ingest import Ingested, ingest
from eegfm.signal.config import ReadParams, SignalParams
from eegfm.signal.units import given_unit, unit_of, unit_uv

LABELS = ("Fz", "Cz", "Pz", "O1")
RATE_HZ = 100.0
UV = {"V": 1e6, "mV": 1e3, "uV": 1.0, "µV": 1.0, "nV": 1e-3}


def signal_uv() -> np.ndarray:
    time_s = np.arange(1000) / RATE_HZ
    noise_uv = np.random.default_rng(0).standard_normal((len(LABELS), len(time_s)))
    return noise_uv + [40 * np.sin(2 * np.pi * (5 + k) * time_s) for k in range(len(LABELS))]


def write(path: Path, stated: str, values: np.ndarray) -> None:
    """A recording that calls these numbers by this unit; EEGLAB has no word for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".set":
        write_eeglab(path, values, LABELS, RATE_HZ, fdt=True)
    elif path.suffix == ".vhdr":
        pybv.write_brainvision(
            data=values * UV[stated] * 1e-6, sfreq=RATE_HZ, ch_names=list(LABELS), fname_base=path.stem,
            folder_out=path.parent, unit=stated.replace("u", "µ"), resolution=1e-3 * np.abs(values).max(),
        )  # fmt: skip
    else:
        limit = float(f"{2 * np.abs(values).max():.2g}")
        bits = 24 if path.suffix == ".bdf" else 16
        write_edf(path, list(values), LABELS, RATE_HZ, full_scale_uv=limit, bits=bits, units=[stated] * len(LABELS))


def run(tmp_path: Path, units: dict[str, str]) -> Ingested:
    params = IngestParams(
        corpus=BidsCorpus(), workers=WorkerParams(n_workers=1), reading=ReadParams.model_validate({"units": units})
    )
    listed = params.corpus.build("mine").index(tmp_path / "raw")
    signal = SignalParams(min_channels=2)
    return ingest(listed, tmp_path / "raw", params, signal, tmp_path / "store", simulated=False)


@pytest.mark.filterwarnings("ignore:Encountered unsupported voltage units")
@pytest.mark.parametrize(
    ("suffix", "stated", "meant"),
    [
        ("edf", "mV", "uV"), ("edf", "uV", "mV"), ("bdf", "mV", "uV"), ("bdf", "V", "mV"), ("edf", "nV", "uV"),
        ("vhdr", "mV", "uV"), ("vhdr", "uV", "V"), ("set", "uV", "V"), ("set", "uV", "mV"),
    ],
)  # fmt: skip
def test_the_configured_meaning_counts(tmp_path: Path, suffix: str, stated: str, meant: str) -> None:
    path = "sub-01/eeg/sub-01_task-x_eeg"
    write(tmp_path / "raw" / f"{path}.{suffix}", stated, signal_uv() / UV[meant])
    table = [["name", "type", "units"], *([label, "EEG", meant] for label in LABELS)]
    write_tree(tmp_path / "raw", {"sub-01/eeg/sub-01_task-x_channels.tsv": table})

    (rejected,) = run(tmp_path, {}).rejected.to_dict("records")
    assert rejected["code"] == "implausible_amplitude"
    factor, few = UV[stated] / UV[meant], "too small" if UV[stated] < UV[meant] else "too large"
    assert f"{max(factor, 1 / factor):,.0f} times {few}" in rejected["reason"]
    assert f"units: {{'{stated if suffix != 'vhdr' else stated.replace('u', 'µ')}': {meant}}}" in rejected["remedy"]

    done = run(tmp_path, {stated: meant})
    (row,) = done.recordings.to_dict("records")
    assert "unit_taken_from_parameters" in row["flags"]
    stored_uv = done.store.recording(row["recording_id"])[100:-100]
    order = [LABELS.index(name) for name in done.store.montages[row["montage"]].channel_names]
    assert np.abs(stored_uv - signal_uv().T[100:-100, order]).max() < 5, "but for noise above the band"


def test_a_unit_that_no_recording_has_is_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for subject in ("01", "02"):
        write(tmp_path / "raw" / f"sub-{subject}/eeg/sub-{subject}_task-x_eeg.edf", "uV", signal_uv())
    with caplog.at_level(logging.WARNING):
        run(tmp_path, {"mv": "mV", "uV": "uV"})
    said = [record.getMessage() for record in caplog.records if "ingest.reading.units" in record.getMessage()]
    assert said == ["mine: no recording has the unit 'mv' of mine.ingest.reading.units; there are: 'uV' 2"]
    assert list(run(tmp_path, {}).recordings["units"].iloc[0]) == ["uV"]


def test_flat_recordings_are_not_called_faint(tmp_path: Path) -> None:
    write(tmp_path / "raw/sub-01/eeg/sub-01_task-x_eeg.edf", "uV", np.full((4, 1000), 77.0))
    assert list(run(tmp_path, {}).rejected["code"]) == ["bad_signal"]


def test_spellings() -> None:
    assert [unit_uv(unit, {}) for unit in ("V", "mV", "uV", "µV", "μV", "nV", "uv", "")] == [
        1e6, 1e3, 1.0, 1.0, 1.0, 1e-3, None, None,
    ]  # fmt: skip
    assert unit_uv("", {"": "mV"}) == 1e3
    assert unit_uv("µV", {"uV": "V"}) == 1e6
    assert given_unit("uV", {"mV": "uV"}) is None
    assert [unit_of(size) for size in (1e6, 1e3, 1.0, 2.0)] == ["V", "mV", "uV", None]
