"""Recordings tables of invented persons, with the columns that splits need."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from eegfm.recording import person_id
from eegfm.splits.splits import COLUMNS


def channels(*names: str) -> list[str]:
    """A hash per named channel; "" for a flat one."""
    return [hashlib.blake2b(name.encode(), digest_size=16).hexdigest() if name else "" for name in names]


def people(corpus: str, subjects: Sequence[str], **columns: Any) -> pd.DataFrame:
    """One recording per named subject, each with a signal of its own unless ``signal_hashes`` says otherwise."""
    names = [f"{corpus}:{k:04d}" for k in range(len(subjects))]
    table = pd.DataFrame(
        {
            "recording_id": names,
            "corpus": corpus,
            "person": [person_id(corpus, subject) for subject in subjects],
            "official_split": "",
            "signal_hashes": [channels(f"{name} a", f"{name} b", "") for name in names],
        }
    )
    return table.assign(**columns)


def letters(number: int) -> str:
    """A subject id of TUEG."""
    out = ""
    for _ in range(8):
        number, digit = divmod(number, 26)
        out = chr(ord("a") + digit) + out
    return out


def split_table(split_of: Mapping[str, str], runs: Sequence[str] = ("r",), **columns: Any) -> pd.DataFrame:
    """A splits table by person, with recordings ``<person>:<run>`` and no other names; tested one by one."""
    tested = [person for person, split in split_of.items() if split == "test"]
    rows = [
        {
            "person": person,
            "corpus": person.partition(":")[0],
            "identity": person,
            "split": split,
            "fold": tested.index(person) if person in tested else -1,
            "reason": "invented",
            "keys": [person],
            "recordings": [f"{person}:{run}" for run in runs],
            "signals": [short_hash(f"{person}:{run}") for run in runs],
        }
        for person, split in split_of.items()
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).assign(**columns)


def short_hash(recording: str) -> str:
    """The short hash of a recording in ``split_table``."""
    return channels(recording)[0][:16]


def with_movies(mixture: pd.DataFrame) -> pd.DataFrame:
    """A mixture of recordings of 2000 samples, all of which are one movie as well: a cut that pairs are made of."""
    own = mixture.assign(cut="pretrain", mix_cut="pretrain", segment=0, moment=-1, label=None)
    movie = own.drop_duplicates("recording_id").assign(cut="movies", start=0, moment=0, label="A")
    movie["n_windows"] = 2000 // movie["n_samples"]
    return pd.concat([own, movie], ignore_index=True)
