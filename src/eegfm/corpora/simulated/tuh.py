"""The simulated clinical corpus as files: the tree of TUAB v3, EDF, 21 channels against their average."""

import datetime
from collections.abc import Iterator
from functools import partial

import edfio
import numpy as np

from eegfm.corpora.simulated.config import SimulatedTuh
from eegfm.corpora.simulated.files import ANONYMOUS_DATE, edf_bytes
from eegfm.corpora.simulated.head import TUH_NAMES
from eegfm.corpora.simulated.people import Person, evenly, in_share, tuh_person
from eegfm.corpora.simulated.physiology import Waves, scalp_potential
from eegfm.corpora.simulated.plan import PlannedFile, text
from eegfm.corpora.simulated.tasks import clinical

README = """SIMULATED EEG. No person was recorded.

The tree, the file names, the channel labels and the patient field follow TUAB v3 (TUH Abnormal EEG Corpus), the
signals are made by eegfm's simulator; see docs/simulator.md of that project. simulated.json holds its parameters.
"""
EKG_UV = 400.0


def plan(config: SimulatedTuh) -> Iterator[PlannedFile]:
    """Plan all files in order of persons."""
    yield text("AAREADME.txt", README)
    for number in range(config.n_subjects):
        person = tuh_person(config, number)
        for session in range(1 + in_share(number, config.two_sessions_ratio)):
            path = recording_path(config, person, session)
            yield PlannedFile(path, partial(recording_bytes, config, person, session))


def subject_name(number: int) -> str:
    """Name person ``number``: ``aaaaaaab`` for 0, then up in letters."""
    number, letters = number + 1, ""
    for _ in range(8):
        number, digit = divmod(number, 26)
        letters = chr(ord("a") + digit) + letters
    return letters


def recording_path(config: SimulatedTuh, person: Person, session: int) -> str:
    """Path of a recording below the root. All sessions of a person are in the same official split."""
    kind = "abnormal" if person.is_abnormal else "normal"
    part = "eval" if in_share(_place_in_class(config, person), config.eval_ratio) else "train"
    return f"edf/{part}/{kind}/01_tcp_ar/{subject_name(person.number)}_s{session + 1:03d}_t000.edf"


def _place_in_class(config: SimulatedTuh, person: Person) -> int:
    """Count the persons of the same class before this one."""
    return sum(in_share(k, config.abnormal_ratio) == person.is_abnormal for k in range(person.number))


def recording_bytes(config: SimulatedTuh, person: Person, session: int) -> bytes:
    """Simulate a recording and write it as EDF."""
    place = person.number + 7 * session
    rate_hz = 256 if evenly(place, config.rate_256_ratio, 5, 0.1) else 250
    key = (*person.seed, 2, session)
    timeline = clinical(config.duration_s, np.random.default_rng([*key, 0]))
    rng = np.random.default_rng([*key, 1])
    signal = scalp_potential(person, timeline, config.effects, TUH_NAMES, rate_hz, rng)
    signal -= signal.mean(axis=0)
    labels = [f"EEG {name.upper()}-REF" for name in TUH_NAMES]
    if evenly(place, config.ekg_ratio, 7, 0.2):
        signal = np.concatenate([signal, _heart(config.duration_s, rate_hz, rng)])
        labels.append("EEG EKG1-REF")
    order = np.arange(len(labels))
    if evenly(place, config.permuted_ratio, 11, 0.3):
        order = rng.permutation(len(labels))
    name = subject_name(person.number)
    return edf_bytes(
        signal[order], [labels[i] for i in order], rate_hz, _patient(person, name), f"{name}_s{session + 1:03d}"
    )


def _patient(person: Person, name: str) -> edfio.Patient:
    birth = datetime.date(ANONYMOUS_DATE.year - int(person.age_years), 1, 1)
    age = f"Age:{int(person.age_years)}"
    return edfio.Patient(code=name, sex=person.sex, birthdate=birth, name=name, additional=(age,))


def _heart(duration_s: int, rate_hz: int, rng: np.random.Generator) -> Waves:
    """One channel of heart beats at about 70 per minute."""
    time_s = np.arange(duration_s * rate_hz) / rate_hz
    beats_s = np.cumsum(rng.normal(0.86, 0.04, int(duration_s * 1.5) + 2))
    nearest = beats_s[np.clip(np.searchsorted(beats_s, time_s), 1, len(beats_s) - 1)]
    before = beats_s[np.clip(np.searchsorted(beats_s, time_s) - 1, 0, len(beats_s) - 1)]
    away_s = np.minimum(np.abs(nearest - time_s), np.abs(time_s - before))
    beat = EKG_UV * np.exp(-0.5 * (away_s / 0.012) ** 2)
    return np.asarray((beat + 5 * rng.standard_normal(len(time_s)))[None], dtype=np.float32)
