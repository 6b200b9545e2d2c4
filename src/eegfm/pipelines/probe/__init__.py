"""The probe pipeline."""

from eegfm.pipelines.probe.pipeline import create_pipeline

__all__ = ["create_pipeline"]
