"""Annotated TUH corpora in their published layouts: a few persons each, with the annotation files that the tasks read.

Seeds make every recording another signal, so that no two persons are taken for one.
"""

from pathlib import Path

import numpy as np

from edf_files import write_tones
from tuh_tree import ELECTRODES, TCP_NAMES, csv_text

DURATION_S = 26.0
_EVENTS = ("spsw", "gped", "pled", "eyem", "artf", "bckg")
_TYPES = ("fnsz", "gnsz", "absz", "tcsz")
_ARTIFACTS = ("eyem", "chew", "shiv", "musc", "elec")


def subjects(letter: str, n: int) -> list[str]:
    """The first persons of a corpus; those of another letter are others."""
    return [f"{letter * 7}{chr(ord('a') + k)}" for k in range(n)]


def write_tuev(root: Path, n: int = 9, n_test: int = 3) -> None:
    """Every class on a derivation of its own in every recording, two seconds of each."""
    names = [f"train/{subject}/{subject}_0000000{k}" for k, subject in enumerate(subjects("c", n))]
    names += [f"eval/{k:03d}/bckg_{k:03d}_a_" for k in range(n_test)]
    for k, name in enumerate(names):
        file = write(root / f"edf/{name}.edf", 400 + k)
        rows = [
            f"{3 * number},{3 + 3 * number + second:.1f},{4 + 3 * number + second:.1f},{number + 1}"
            for number in range(len(_EVENTS))
            for second in range(2)
        ]
        file.with_suffix(".rec").write_text("\n".join([*rows, ""]))


def write_tuar(root: Path, n: int = 6) -> None:
    """Four of the artifacts, each in a window of its own and on all derivations, and a window without any."""
    for k, subject in enumerate(subjects("d", n)):
        file = write(root / f"edf/01_tcp_ar/{subject}_s001_t000.edf", 500 + k)
        rows = [
            f"{channel},{5 * number + 0.5:.4f},{5 * number + 3.5:.4f},{artifact},1.0000"
            for number, artifact in enumerate([*_ARTIFACTS, *_ARTIFACTS][k % 5 : k % 5 + 4])
            for channel in TCP_NAMES
        ]
        file.with_suffix(".csv").write_text(csv_text(rows, DURATION_S))


def write_tusl(root: Path, n: int = 8) -> None:
    """An event of 10 s of each class in every recording, in different orders."""
    for k, subject in enumerate(subjects("e", n)):
        file = write(root / f"edf/{subject}/s001_2009/01_tcp_ar/{subject}_s001_t000.edf", 600 + k, duration_s=37.0)
        labels = [("bckg", "seiz", "slow")[(k + shift) % 3] for shift in range(3)]
        rows = [f"TERM,{12.0 * n:.4f},{12.0 * n + 10:.4f},{label},1.0000" for n, label in enumerate(labels)]
        file.with_suffix(".csv").write_text(csv_text(rows, 37.0))


def write_tusz(root: Path, n: int = 4, n_validation: int = 2, n_test: int = 6) -> None:
    """A seizure of 13 s in every recording, of each type in turn, and none before it."""
    parts = ["train"] * n + ["dev"] * n_validation + ["eval"] * n_test
    for k, (subject, part) in enumerate(zip(subjects("f", len(parts)), parts, strict=True)):
        file = write(root / f"edf/{part}/{subject}/s001_2003/02_tcp_le/{subject}_s001_t000.edf", 700 + k, "LE")
        times = f"12.5000,{DURATION_S - 0.5:.4f}"
        both = ["TERM,0.0000,12.5000,bckg,1.0000", f"TERM,{times},seiz,1.0000"]
        file.with_suffix(".csv_bi").write_text(csv_text(both, DURATION_S))
        kind = _TYPES[k % len(_TYPES)]
        file.with_suffix(".csv").write_text(
            csv_text([f"{channel},{times},{kind},1.0000" for channel in TCP_NAMES[:3]], DURATION_S)
        )


def write(path: Path, seed: int, suffix: str = "REF", duration_s: float = DURATION_S) -> Path:
    """Write one recording of tones and noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tones_hz = np.linspace(4, 30, len(ELECTRODES)) + seed % 7 / 10
    labels = [f"EEG {name}-{suffix}" for name in ELECTRODES]
    write_tones(path, labels, tones_hz, duration_s, 250, amplitude_uv=20, noise_uv=10, seed=seed)
    return path
