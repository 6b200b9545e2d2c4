"""Tiny folders of recordings in the layouts that the experiments of ``conf`` read, and the parameters for them."""

from pathlib import Path
from typing import Any

import numpy as np

from edf_files import write_tones
from eegfm.corpora.simulated.config import SimulatedHbn
from eegfm.corpora.simulated.writer import write_simulated
from tuh_corpora import write_tuar, write_tuev, write_tusl, write_tusz
from tuh_tree import ELECTRODES, NINETEEN

_HERE = {"workers": {"n_workers": 1}}
EPOC = ["AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4"]
"""Channels of the Emotiv EPOC."""
_SUBJECTS = [f"aaaaaaa{letter}" for letter in "abcdefgh"]
TINY: dict[str, Any] = {
    "tuh": {"ingest": _HERE}, "hbn": {"ingest": _HERE}, "tuab": {"ingest": _HERE}, "eegmat": {"ingest": _HERE},
    "eegmmidb": {"ingest": _HERE}, "guineabissau": {"ingest": _HERE}, "mine": {"ingest": _HERE},
    "tuev": {"ingest": _HERE}, "tuar": {"ingest": _HERE}, "tusl": {"ingest": _HERE}, "tusz": {"ingest": _HERE},
    "pretrain": {
        "encoder": {"name": "patch_transformer", "n_layers": 1, "d_model": 16, "head_size": 16},
        "n_steps": 2, "batch_size": 10, "n_validation_windows": 10, "progress_bar": False, "precision": "32-true",
    },
    "probe": {"n_untrained": 1, "n_bootstrap": 100, "lambdas": [1.0]},
    "split": {"validation_ratio": 0.4, "folds": "leave_one_person_out", "protocol": "persons"},
}  # fmt: skip
_WITHIN = {"name": "within_recording", "cut": "moments"}
PAIRS: dict[str, Any] = {
    "tuh": {**_WITHIN, "moments": 3},
    "hbn": [{**_WITHIN, "moments": 7}, {"name": "movie_moment"}, {"name": "condition"}],
    "guineabissau": {**_WITHIN, "moments": 5},
}
"""By corpus, the pairs of ``TINY_CONTRAST``, as many as these recordings have."""
TINY_CONTRAST: dict[str, Any] = {"n_steps": 2, "batch_size": 20, "n_validation_windows": 20, "progress_bar": False}
MOMENTS = {"name": "movie_moments", "kind": "retrieval", "cut": "movies"}
TINY_TOKENIZER: dict[str, Any] = {
    "encoder": {"n_layers": 1}, "objective": {"n_codes": 16, "d_code": 8},
    "n_steps": 2, "batch_size": 10, "n_validation_windows": 10, "progress_bar": False,
}  # fmt: skip
SIMULATED: dict[str, Any] = {
    "tuh": {"acquire": {"source": {"name": "simulated_tuh", "n_subjects": 6, "duration_s": 20}}},
    "hbn": {
        "acquire": {"source": {"name": "simulated_hbn", "n_subjects": 8, "resting_s": 60, "ccd_s": 20, "movie_s": 40}}
    },
}


def write_eegmat(root: Path) -> None:
    for k in range(6):
        for run in (1, 2):
            _write(root / f"Subject{k:02d}_{run}.edf", [f"EEG {name}" for name in NINETEEN], 500, k * 10 + run)


def write_eegmmidb(root: Path) -> None:
    for k in range(1, 7):
        for run in (1, 2):
            _write(
                root / f"S{k:03d}/S{k:03d}R{run:02d}.edf", [f"{name}." for name in NINETEEN], 160, 100 + k * 10 + run
            )


def write_guineabissau(root: Path) -> None:
    """Eight persons, and the three whom the experiment leaves out, whose remarks name a deviation."""
    rows = ["subject.id,Group,Eyes.condition,Remarks,recordedPeriod,startTime"]
    for k in (*range(1, 9), 13, 67, 70):
        _write(root / f"signal-{k}.edf", EPOC, 128, 500 + k, 215)
        order = ("open-3min-then-closed-2min", "closed-3min-then-open-2min")[k % 2]
        rows.append(f"{k},Control,{order},NA,215,27-05-2020 14:33")
    (root / "metadata_guineabissau.csv").write_text("\n".join([*rows, ""]))


def write_tueg(root: Path) -> None:
    labels = [f"EEG {name}-REF" for name in ELECTRODES]
    for k, subject in enumerate(_SUBJECTS):
        path = f"edf/000/{subject}/s001_2015_12_30/01_tcp_ar/{subject}_s001_t000.edf"
        _write(root / path, labels, 250, 200 + k)


def write_tuab(root: Path) -> None:
    """Other persons than those of ``write_tueg``, but one of them in the test set."""
    labels = [f"EEG {name}-REF" for name in ELECTRODES]
    for k, subject in enumerate([*(f"bbbbbbb{letter}" for letter in "abcdefghijk"), _SUBJECTS[0]]):
        place = f"{'eval' if k > 7 else 'train'}/{'ab' * (k % 2)}normal/01_tcp_ar"
        _write(root / f"edf/{place}/{subject}_s001_t000.edf", labels, 250, 300 + k)


def write_hbn(root: Path) -> None:
    write_simulated(SimulatedHbn(n_subjects=12, resting_s=60, ccd_s=20, movie_s=10), root)


def write_mine(root: Path) -> None:
    for k in range(8):
        _write(root / f"s{k}/s{k}_1.edf", NINETEEN, 200, 400 + k)


FOLDERS = {
    "EEGMAT_ROOT": write_eegmat, "EEGMMIDB_ROOT": write_eegmmidb, "TUEG_ROOT": write_tueg, "TUAB_ROOT": write_tuab,
    "HBN_ROOT": write_hbn, "GUINEABISSAU_ROOT": write_guineabissau, "MY_EEG": write_mine,
    "TUEV_ROOT": write_tuev, "TUAR_ROOT": write_tuar, "TUSL_ROOT": write_tusl, "TUSZ_ROOT": write_tusz,
}  # fmt: skip
"""By environment variable of an experiment."""


def _write(path: Path, labels: list[str], rate_hz: int, seed: int, duration_s: float = 25) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tones_hz = np.linspace(4, 30, len(labels)) + seed % 7 / 10
    write_tones(path, labels, tones_hz, duration_s, rate_hz, amplitude_uv=20, noise_uv=10, seed=seed)
