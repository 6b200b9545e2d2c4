"""Parameters of the data jobs, and of everything that one corpus needs."""

from typing import Literal

from pydantic import Field

from eegfm.config import StrictModel
from eegfm.corpora.config import AcquireParams, CorpusConfig
from eegfm.windows.config import WindowParams


class IngestParams(StrictModel):
    """How raw files become the signal store.

    Attributes:
        corpus: How the folder is laid out.
        n_workers: Worker processes; ``"auto"`` takes one per core where there are enough files to pay for them.
        max_rejected_ratio: The run ends with an error when more than this share of the files is rejected.
    """

    corpus: CorpusConfig
    n_workers: int | Literal["auto"] = "auto"
    max_rejected_ratio: float = Field(default=0.2, ge=0, le=1)


class CorpusParams(StrictModel):
    """Everything about one corpus: the block that stands under its name in the parameters."""

    acquire: AcquireParams = AcquireParams()
    ingest: IngestParams
    window: WindowParams


class ReportParams(StrictModel):
    """What the report says of itself."""

    title: str = "eegfm run"
