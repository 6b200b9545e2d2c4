"""Parameters of one corpus."""

from eegfm.config import StrictModel
from eegfm.jobs.acquire.config import AcquireParams
from eegfm.jobs.ingest.config import IngestParams
from eegfm.windows.config import WindowParams


class CorpusParams(StrictModel):
    """Everything about one corpus: the block under its name in the parameters."""

    acquire: AcquireParams = AcquireParams()
    ingest: IngestParams
    window: WindowParams
