"""The window pipeline."""

from eegfm.pipelines.window.pipeline import create_pipeline

__all__ = ["create_pipeline"]
