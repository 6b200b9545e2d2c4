"""Fit a report to the encoder that is there: trained here, or imported."""

from collections.abc import Sequence
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from eegfm.io.absent import AbsentDataset
from eegfm.io.checkpoint import CheckpointDataset
from eegfm.project.encoder_steps import IMPORT, made_encoder, maker_key
from eegfm.project.lineage import REPORT_TAG
from eegfm.project.quiet import quiet
from eegfm.training.phases import FINETUNE

OF_A_TRAINING = ("metrics", "history", "reconstructions")
"""Last parts of the entries about a training. Where an encoder was imported, they are absent, or are left from an
earlier encoder."""
OF_IMPORT = ("import_weights.report",)
MIXTURE = "mixture"


def leave_out_absent(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any], phases: Sequence[str]) -> None:
    """Leave out of a report what the encoder of the first phase does not have, unless the same run makes it.

    Args:
        pipeline: Steps of the run.
        catalog: Catalog of the run. Entries that are left out give None from now on.
        phases: Names of the phases. Only the encoder of the first one can be imported.
    """
    if not any(REPORT_TAG in node.tags for node in pipeline.nodes):
        return
    first = phases[0]
    if _is_imported(f"{first}.encoder", pipeline, catalog):
        # Later phases, if there are any, train on the mixture.
        names = [*((MIXTURE,) if len(phases) == 1 else ()), *(f"{first}.{what}" for what in OF_A_TRAINING)]
    else:
        names = [*OF_IMPORT]
    tuned = [name for name in pipeline.inputs() if name.startswith(f"{FINETUNE}.")]
    if not all(catalog[name].exists() for name in tuned if name in catalog):
        names += tuned  # nothing was finetuned yet
    with quiet():
        for name in names:
            if name not in pipeline.all_outputs() and name in catalog:
                catalog[name] = AbsentDataset()


def _is_imported(encoder: str, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> bool:
    """True if an encoder of this run is one that was trained elsewhere."""
    makers = [node for node in pipeline.nodes if made_encoder(node) == encoder]
    if makers:
        return any(maker_key(node) == IMPORT for node in makers)
    dataset = catalog.get(encoder)
    return isinstance(dataset, CheckpointDataset) and dataset.is_imported()
