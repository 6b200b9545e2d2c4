"""Fit a report to the encoder that is there: trained here, or imported."""

from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from eegfm.io.absent import AbsentDataset
from eegfm.io.checkpoint import CheckpointDataset
from eegfm.project.encoder_guard import ENCODER
from eegfm.project.lineage import REPORT_TAG

OF_TRAINING = ("mixture", "pretrain.metrics", "pretrain.history", "pretrain.reconstructions")
"""Entries about a training. Where an encoder was imported, they are absent, or are left from an earlier encoder."""
OF_IMPORT = ("import_weights.report",)


def leave_out_absent(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
    """Leave out of a report what the encoder does not have, unless the same run makes it.

    Args:
        pipeline: Steps of the run.
        catalog: Catalog of the run. Entries that are left out give None from now on.
    """
    reports = [node for node in pipeline.nodes if REPORT_TAG in node.tags]
    if not reports:
        return
    left_out = {*(OF_TRAINING if _is_imported(pipeline, catalog) else OF_IMPORT)} - pipeline.all_outputs()
    for name in sorted(left_out & {name for node in reports for name in node.inputs}):
        catalog[name] = AbsentDataset()


def _is_imported(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> bool:
    """Whether the encoder of this run is one that was trained elsewhere."""
    makers = [node for node in pipeline.nodes if ENCODER in node.outputs]
    if makers:
        return any("params:import" in node.inputs for node in makers)
    dataset = catalog.get(ENCODER)
    return isinstance(dataset, CheckpointDataset) and dataset.is_imported()
