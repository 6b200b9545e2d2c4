"""Fit the parameters of a phase to the stored weights that it starts from, before its run."""

import logging
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from eegfm.checkpoint import CheckpointHeader
from eegfm.errors import ConfigError
from eegfm.inference.encoder_code import refuse_other_code
from eegfm.io.start_file import StartFileDataset
from eegfm.project.checked import checked
from eegfm.project.encoder_steps import made_encoder, maker_key, start_of, stored_start, trains
from eegfm.project.phase_blocks import of_the_start
from eegfm.project.quiet import quiet
from eegfm.provenance import differing
from eegfm.training.config import PretrainParams
from eegfm.training.phases import FINETUNE
from eegfm.training.started import OF_THE_START, with_start

logger = logging.getLogger(__name__)

_FINETUNED = f"{FINETUNE}.start"
"""Entry of the file that a finetuning starts from."""


def follow_starts(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
    """Take over what stored weights decide (encoder, adapter, reference, …) into the parameters of their phase.

    A finetuning reads all that from its start. Only the file is looked at.

    Weights that the same run makes follow the parameters of their own phase, which the configuration has taken over. If
    that phase itself starts from stored weights, these decide for both, and for all phases that follow.

    Args:
        pipeline: Steps of the run.
        catalog: Catalog of the run. Parameters of such phases are replaced.

    Raises:
        EegfmError: ``ENCODER`` is not set, or names no file.
        ConfigError: It names a file that the phase or the finetuning writes, or a parameter differs from the weights.
        CheckpointError: The weights cannot be read, or other code made them.
    """
    made_from: dict[str, CheckpointHeader] = {}
    for node in pipeline.nodes:
        if trains(node) and start_of(node) in catalog:
            _refuse_no_start(node, catalog)
            header = stored_start(node, pipeline, catalog) or made_from.get(start_of(node))
            if header is not None:
                _follow(node, header, catalog)
                made_from[made_encoder(node)] = header
        if _FINETUNED in node.inputs and _FINETUNED in catalog:
            _check_finetuned(catalog)


def _check_finetuned(catalog: CatalogProtocol[Any, Any]) -> None:
    """Refuse a file that a finetuning cannot start from, or that it would remove: it writes a whole folder."""
    dataset, made = catalog[_FINETUNED], f"{FINETUNE}.encoder"
    if not isinstance(dataset, StartFileDataset):
        return
    header = dataset.header_without_torch()
    file, folder = Path(str(dataset._describe()["filepath"])), Path(str(catalog[made]._describe()["path"]))
    if file.resolve().parent == folder.resolve():
        raise ConfigError(f"ENCODER names {file}, and {FINETUNE} itself writes that folder; name a copy elsewhere")
    accept = catalog.load(f"params:{FINETUNE}").load.accept_other_code
    refuse_other_code(header, accept=accept, key=f"{FINETUNE}.load.accept_other_code")


def _refuse_no_start(node: Node, catalog: CatalogProtocol[Any, Any]) -> None:
    """Refuse a file that is not there or is the phase's own. Encoders of phases are checked with the other inputs."""
    phase, dataset = maker_key(node), catalog[start_of(node)]
    if not isinstance(dataset, StartFileDataset):
        return
    dataset.check()
    file, own = (Path(str(one._describe()["filepath"])) for one in (dataset, catalog[made_encoder(node)]))
    if file.resolve() == own.resolve():
        raise ConfigError(f"ENCODER names {file}, which {phase} itself writes; name another file or a copy")


def _follow(node: Node, header: CheckpointHeader, catalog: CatalogProtocol[Any, Any]) -> None:
    phase = maker_key(node)
    params: PretrainParams = catalog.load(f"params:{phase}")
    if params.start == "file" and not params.load.accept_other_code:  # of encoders of phases, Lineage says it
        refuse_other_code(header, accept=False, key=f"{phase}.load.accept_other_code")
    given = params
    if params.start == "previous":
        # These are from the block of the phase before, whose stored encoder may be another one, e.g. imported.
        own = {name: getattr(params, name) for name in params.model_fields_set if name not in OF_THE_START}
        given = checked(PretrainParams, own | {"start": "file"}, phase)
    followed = with_start(given, header, phase).model_copy(update={"start": params.start})
    for text in differing(of_the_start(params), of_the_start(followed)):
        logger.info("%s starts from stored weights, and they decide: %s", phase, text)
    with quiet():
        catalog[f"params:{phase}"] = followed
