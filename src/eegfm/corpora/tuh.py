"""The TUH EEG corpora. Layouts: TUEG v2 and TUAB v3 (and whatever names files ``<subject>_sNNN_tNNN.edf``)."""

import re
from pathlib import Path

from eegfm.corpora.base import Corpus, Details, annotation_events
from eegfm.corpora.config import TuhCorpus
from eegfm.recording import Reference
from eegfm.signal.reader import RecordingHeader

_NAME = re.compile(r"(?P<subject>[a-z]{8}|\d{8})_(?P<session>s\d{3})_(?P<run>t\d{3})\.edf")
_PATHOLOGY = {"normal", "abnormal"}
_OFFICIAL_SPLITS = {"train", "dev", "eval"}
_AGE = re.compile(r"\bAge:\s*(\d+(?:\.\d+)?)")
_SEX = re.compile(r"(?:^|\s)([MF])(?:\s|$)")
_MONTAGE = re.compile(r"\d\d_tcp_\w+")


class Tuh(Corpus):
    """Subject, session and token from the file name; class, official split and montage from the folders."""

    example = "edf/train/normal/01_tcp_ar/aaaaaaab_s001_t000.edf"

    def __init__(self, config: TuhCorpus, corpus: str) -> None:
        super().__init__(corpus)
        self.reference: Reference | None = None  # the labels say it: -REF or -LE

    def describe(self, path: str) -> dict[str, str] | None:
        """Read a path of TUEG or TUAB."""
        *folders, name = path.split("/")
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        fields = match.groupdict()
        fields["official_split"] = next((f for f in folders if f in _OFFICIAL_SPLITS), "")
        fields["acquisition"] = next((f for f in folders if _MONTAGE.fullmatch(f)), "")
        fields["pathology"] = next((f for f in folders if f in _PATHOLOGY), "")
        return fields

    def details(self, path: Path, header: RecordingHeader) -> Details:
        """Annotations; age in years (a fraction for infants) and sex from the EDF patient field."""
        age, sex = _AGE.search(header.patient), _SEX.search(header.patient)
        facts = {"age_years": float(age[1]) if age else None, "sex": sex[1] if sex else ""}
        return Details(events=annotation_events(header), facts=facts)
