"""The import_weights pipeline."""

from eegfm.pipelines.import_weights.pipeline import create_pipeline

__all__ = ["create_pipeline"]
