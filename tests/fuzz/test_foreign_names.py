"""Files with the names that other programs write: each has the outcome that the rules of names say.

``EEGFM_FOREIGN=2000`` draws 1,000 files in place of 100: half of its number, as the other half are loose side files.
``EEGFM_FOREIGN_NAME=17`` runs the one with this number.
"""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pybv
import pytest

from bids_tree import convert_file, write_eeglab, write_tree
from edf_files import write_edf
from eegfm.corpora.config import BidsCorpus, EdfFolderCorpus
from eegfm.jobs.ingest.convert import Converted
from eegfm.signal.config import ReadParams
from eegfm.store.index import RejectedEntry
from fuzz.foreign_names import Case, draw, repeated

N_CASES = int(os.environ.get("EEGFM_FOREIGN", "200")) // 2
ONLY = os.environ.get("EEGFM_FOREIGN_NAME")
RATE_HZ, SECONDS = 100.0, 10
ABOUT_NAMES = ("electrode_among_words", "names_compete", "reference", "labels_not_understood")


def tone_hz(place: int) -> float:
    """Frequency of the channel at this place of the file."""
    return 5 + place / SECONDS


def write_case(case: Case, root: Path) -> str:
    """Write the file, and ``channels.tsv`` where it has rows. Returns the path inside the folder."""
    folder = "sub-01/eeg/sub-01_task-x_"
    is_bids = bool(case.rows) or case.suffix in ("set", "vhdr")
    name = f"{folder}eeg.{case.suffix}" if is_bids else f"01.{case.suffix}"
    path, labels = root / name, case.labels
    path.parent.mkdir(parents=True, exist_ok=True)
    time_s = np.arange(round(RATE_HZ * SECONDS)) / RATE_HZ
    noise_uv = np.random.default_rng(case.number).standard_normal((len(labels), time_s.size))
    uv = noise_uv + [50 * np.sin(2 * np.pi * tone_hz(k) * time_s) for k in range(len(labels))]
    if case.suffix in ("edf", "bdf"):
        write_edf(path, list(uv), labels, RATE_HZ, bits=16 if case.suffix == "edf" else 24)
    elif case.suffix == "set":
        write_eeglab(path, uv, labels, RATE_HZ)
    else:
        pybv.write_brainvision(
            data=uv * 1e-6, sfreq=RATE_HZ, ch_names=labels, fname_base=path.stem, folder_out=path.parent, unit="µV",
            fmt="binary_float32",
        )  # fmt: skip
    if case.rows:
        write_tree(root, {f"{folder}channels.tsv": [("name", "type", "status"), *case.rows]})
    return name


def convert_case(case: Case, root: Path) -> Converted | RejectedEntry:
    name = write_case(case, root / "raw")
    options = {"layout": case.layout}
    corpus = BidsCorpus(**options) if "/" in name else EdfFolderCorpus(pattern="{subject}", **options)
    reading = ReadParams.model_validate(case.reading)
    return convert_file(corpus, root / "raw", name, root / "spool", reading=reading)


def heard(done: Converted) -> dict[str, float]:
    """Frequency that each stored channel has."""
    n_channels = len(done.montage.channel_names)
    signal = np.fromfile(done.samples_path, dtype="<i2").reshape(-1, n_channels).astype(float)
    peaks = np.abs(np.fft.rfft(signal - signal.mean(axis=0), axis=0)).argmax(axis=0)
    return dict(zip(done.montage.channel_names, peaks / SECONDS, strict=True))


def differences(case: Case, done: Converted | RejectedEntry) -> list[str]:
    """What is not as the case says."""
    if isinstance(done, RejectedEntry):
        found: dict[str, object] = {
            "code": done.code,
            "remedy": case.remedy if case.remedy in done.remedy else done.remedy,
        }
        wanted: dict[str, object] = {"code": case.code, "remedy": case.remedy}
        if "\n" in done.reason + done.remedy:
            return ["the message has several lines"]
    else:
        facts = done.facts
        found = {
            "code": "",
            "tones": heard(done),
            "reference": facts["reference"],
            "montage": done.montage.reference,
            "flags": {flag for flag in facts["flags"] if flag.startswith(ABOUT_NAMES)},
            "left out": set(facts["labels_left_out"]),
            "not understood": set(facts["labels_not_understood"]),
            "bad": set(done.bad_channels),
        }
        wanted = {
            "code": case.code,
            "tones": {name: tone_hz(case.labels.index(label)) for label, name in case.electrodes.items()},
            "reference": case.reference,
            "montage": case.reference,
            "flags": case.flags,
            "left out": case.left_out,
            "not understood": case.not_understood,
            "bad": case.bad,
        }
    return [f"{key}: {found.get(key)} is not {value}" for key, value in wanted.items() if found.get(key) != value]


def test_every_file_has_the_outcome_of_its_rule(tmp_path: Path) -> None:
    failed, outcomes = [], Counter[str]()
    for number in range(N_CASES) if ONLY is None else [int(ONLY)]:
        case = draw(number)
        assert not repeated(case), number
        done = convert_case(case, tmp_path / str(number))
        outcomes[case.code or "in"] += 1
        wrong = differences(case, done)
        if wrong:
            failed.append(f"EEGFM_FOREIGN_NAME={number}: {case}\n    " + "\n    ".join(wrong))
    assert not failed, f"{len(failed)} of {sum(outcomes.values())} files\n" + "\n".join(failed)
    assert ONLY is not None or outcomes["in"] > 0.6 * N_CASES


@pytest.mark.parametrize("part", ["electrodes", "reference", "flags", "left_out", "bad"])
def test_another_outcome_would_be_seen(tmp_path: Path, part: str) -> None:
    number = next(k for k in range(100) if not draw(k).code and draw(k).rows)
    case = draw(number)
    done = convert_case(case, tmp_path)
    assert differences(case, done) == []
    if part == "electrodes":
        first, second = list(case.electrodes)[:2]
        case.electrodes[first], case.electrodes[second] = case.electrodes[second], case.electrodes[first]
    elif part == "reference":
        case.reference = "M1" if case.reference == "M2" else "M2"
    else:
        getattr(case, part).add("x")
    assert differences(case, done)
