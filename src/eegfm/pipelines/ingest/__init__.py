"""The ingest pipeline."""

from eegfm.pipelines.ingest.pipeline import create_pipeline

__all__ = ["create_pipeline"]
