"""The report pipeline."""

from eegfm.pipelines.report.pipeline import create_pipeline

__all__ = ["create_pipeline"]
