"""Fit a report to the encoder that is there: trained here, or imported."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
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
_KEDRO = logging.getLogger("kedro.io.data_catalog")


def leave_out_absent(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
    """Leave out of a report what the encoder does not have, unless the same run makes it.

    Args:
        pipeline: Steps of the run.
        catalog: Catalog of the run. Entries that are left out give None from now on.
    """
    if not any(REPORT_TAG in node.tags for node in pipeline.nodes):
        return
    names = OF_TRAINING if _is_imported(pipeline, catalog) else OF_IMPORT
    with _quiet():
        for name in names:
            if name not in pipeline.all_outputs() and name in catalog:
                catalog[name] = AbsentDataset()


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide Kedro's warning that an entry is replaced, which is meant here."""
    was_disabled, _KEDRO.disabled = _KEDRO.disabled, True
    try:
        yield
    finally:
        _KEDRO.disabled = was_disabled


def _is_imported(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> bool:
    """True if the encoder of this run is one that was trained elsewhere."""
    makers = [node for node in pipeline.nodes if ENCODER in node.outputs]
    if makers:
        return any("params:import" in node.inputs for node in makers)
    dataset = catalog.get(ENCODER)
    return isinstance(dataset, CheckpointDataset) and dataset.is_imported()
