"""Parameters of the report."""

from eegfm.config import StrictModel


class ReportParams(StrictModel):
    """Text of the report about itself."""

    title: str = "eegfm run"
