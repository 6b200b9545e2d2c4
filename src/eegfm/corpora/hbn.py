"""HBN-EEG as BIDS: the challenge's 100-Hz BDF or OpenNeuro's 500-Hz EEGLAB files."""

import re
from pathlib import Path
from typing import Any, ClassVar, Literal

import pandas as pd

from eegfm.corpora.base import Corpus
from eegfm.corpora.config import HbnCorpus
from eegfm.errors import RecordingError
from eegfm.recording import Reference
from eegfm.signal.reader import RecordingHeader

_NAME = re.compile(
    r"sub-(?P<subject>[A-Za-z0-9]+)_task-(?P<task>[A-Za-z0-9]+)(?:_run-(?P<run>\d+))?_eeg\.(bdf|set|edf)"
)
_LABELS = ["p_factor", "attention", "internalizing", "externalizing"]


class Hbn(Corpus):
    """129 channels ``E1…E128, Cz``, recorded against Cz; positions come from the HydroCel net, not from files."""

    layout: ClassVar[Literal["1005", "gsn129"]] = "gsn129"
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

    def labels(self, root: Path) -> pd.DataFrame | None:
        """Age, sex and the four factors of ``participants.tsv``; ``n/a`` becomes missing."""
        path = root / "participants.tsv"
        if not path.is_file():
            return None
        table = pd.read_csv(path, sep="\t", na_values=["n/a"], keep_default_na=False, dtype={"participant_id": "str"})
        out = pd.DataFrame({"subject": table["participant_id"].str.removeprefix("sub-")})
        out["age_years"] = pd.to_numeric(table["age"]).astype("float64")
        out["sex"] = table["sex"].fillna("").astype("str")
        for name in _LABELS:
            out[name] = pd.to_numeric(table[name]).astype("float64") if name in table else float("nan")
        return out

    def events(self, path: Path, header: RecordingHeader) -> list[dict[str, Any]]:
        """Rows of ``*_events.tsv``: in BIDS the sidecar is the truth, not what the file itself carries."""
        sidecar = path.with_name(re.sub(r"_eeg\.\w+$", "_events.tsv", path.name))
        if not sidecar.is_file():
            return []
        table = pd.read_csv(sidecar, sep="\t", na_values=["n/a"], keep_default_na=False, dtype="str")
        rows = []
        for record in table.to_dict("records"):
            row: dict[str, Any] = {
                str(k): None if pd.isna(v) else str(v)
                for k, v in record.items()
                if k not in ("onset", "duration", "sample")
            }
            if pd.isna(record["onset"]):
                raise RecordingError(
                    "event_without_onset",
                    f"{sidecar.name}: event {row.get('value')!r} has no onset",
                    "give it one or delete the row",
                )
            duration = record.get("duration")
            row |= {"onset_s": float(record["onset"]), "duration_s": None if pd.isna(duration) else float(duration)}
            rows.append(row)
        return rows
