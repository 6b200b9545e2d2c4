"""Parameters of the report."""

from eegfm.config import StrictModel


class ReportParams(StrictModel):
    """What the report says of itself."""

    title: str = "eegfm run"
