"""The mix pipeline."""

from eegfm.pipelines.mix.pipeline import create_pipeline

__all__ = ["create_pipeline"]
