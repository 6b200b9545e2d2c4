"""HBN-EEG as BIDS: the challenge's 100-Hz BDF or OpenNeuro's 500-Hz EEGLAB files."""

import math
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from eegfm.corpora.base import Corpus, Details
from eegfm.corpora.config import HbnCorpus
from eegfm.errors import EegfmError, RecordingError
from eegfm.recording import Reference
from eegfm.signal.electrodes import Layout
from eegfm.signal.reader import RecordingHeader

_NAME = re.compile(
    r"sub-(?P<subject>[A-Za-z0-9]+)_task-(?P<task>[A-Za-z0-9]+)(?:_run-(?P<run>\d+))?_eeg\.(bdf|set|edf)"
)
_NOT_A_COLUMN = ("onset", "duration", "sample")
_LABELS = ["p_factor", "attention", "internalizing", "externalizing"]


class Hbn(Corpus):
    """129 channels ``E1…E128, Cz``, recorded against Cz; positions come from the HydroCel net, not from files."""

    layout: ClassVar[Layout] = "gsn129"
    suffixes: ClassVar[tuple[str, ...]] = (".bdf", ".set", ".edf")
    example = "sub-NDARXXXXXXXX/eeg/sub-NDARXXXXXXXX_task-RestingState_eeg.bdf"

    def __init__(self, config: HbnCorpus, corpus: str) -> None:
        super().__init__(corpus)
        self.reference: Reference | None = "Cz"

    def describe(self, path: str) -> dict[str, str] | None:
        """Read the BIDS entities of a file name."""
        match = _NAME.fullmatch(path.rsplit("/", 1)[-1])
        if match is None:
            return None
        return {"subject": match["subject"], "task": match["task"], "run": match["run"] or ""}

    def sidecars(self, path: str) -> tuple[str, ...]:
        """The events, and the samples that an EEGLAB file may keep beside it."""
        samples = (f"{path[:-4]}.fdt",) if path.endswith(".set") else ()
        return (_events_path(path), *samples)

    def labels(self, root: Path) -> pd.DataFrame | None:
        """Age, sex and the four factors of ``participants.tsv``; ``n/a`` becomes missing.

        Raises:
            EegfmError: The table cannot be read, or names a participant twice.
        """
        path = root / "participants.tsv"
        if not path.is_file():
            return None
        try:
            table = _read_tsv(path)
            out = pd.DataFrame({"subject": table["participant_id"].str.removeprefix("sub-")})
            for name, column in {"age_years": "age", **{label: label for label in _LABELS}}.items():
                out[name] = pd.to_numeric(table[column]).astype("float64") if column in table else float("nan")
                if np.isinf(out[name]).any():
                    raise ValueError(f"column {column} holds infinity")
            out["sex"] = table["sex"].fillna("") if "sex" in table else ""
        except (KeyError, ValueError) as error:
            raise EegfmError(f"{path}: not readable as a BIDS table of participants ({error}); correct it") from error
        twice = out.loc[out["subject"].duplicated(), "subject"]
        if len(twice):
            raise EegfmError(f"{path}: participant {twice.iloc[0]} stands there twice; keep one row per participant")
        return out.astype({"subject": "str", "sex": "str"})

    def details(self, path: Path, header: RecordingHeader) -> Details:
        """Rows of ``*_events.tsv``: in BIDS the sidecar is the truth, not what the file itself carries.

        Raises:
            RecordingError: The sidecar cannot be read; events that are guessed would be worse than none.
        """
        sidecar = path.with_name(_events_path(path.name))
        if not sidecar.is_file():
            return Details(events=[], facts={})
        try:
            return Details(events=[_event(record) for record in _read_tsv(sidecar).to_dict("records")], facts={})
        except (KeyError, ValueError) as error:
            raise RecordingError(
                "unreadable_events",
                f"{sidecar.name}: not readable as a BIDS table of events ({error})",
                "every event needs a number under onset, and a number or n/a under duration",
            ) from error


def _events_path(path: str) -> str:
    return re.sub(r"_eeg\.\w+$", "_events.tsv", path)


def _read_tsv(path: Path) -> pd.DataFrame:
    """All columns as text; ``n/a`` becomes missing.

    Raises:
        ValueError: A row has more fields than the header, so that its columns cannot be told.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    n_fields = lines[0].count("\t") + 1 if lines else 0
    for number, line in enumerate(lines[1:], start=2):
        if line.count("\t") >= n_fields:
            raise ValueError(f"line {number} has {line.count(chr(9)) + 1} fields, the header has {n_fields}")
    return pd.read_csv(path, sep="\t", na_values=["n/a"], keep_default_na=False, dtype="str")


def _event(record: Mapping[Hashable, Any]) -> dict[str, Any]:
    onset_s, duration = float(record["onset"]), record.get("duration")
    if not math.isfinite(onset_s):
        raise ValueError(f"event {record.get('value')!r} has onset {record['onset']}")
    duration_s = None if pd.isna(duration) else float(duration)
    if duration_s is not None and not math.isfinite(duration_s):
        raise ValueError(f"event {record.get('value')!r} has duration {duration}")
    others = {str(k): None if pd.isna(v) else str(v) for k, v in record.items() if k not in _NOT_A_COLUMN}
    return {"value": "", **others, "onset_s": onset_s, "duration_s": duration_s}
