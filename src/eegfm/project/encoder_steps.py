"""Steps of a run that make or read encoders, and the phases that they belong to."""

from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from eegfm.checkpoint import CheckpointHeader
from eegfm.io.checkpoint import CheckpointDataset
from eegfm.io.start_file import StartFileDataset
from eegfm.training.phases import FINETUNE, TOKENIZER

IMPORT = "import"
"""Key of the parameters of an import."""
TOKENIZER_ENTRY = f"{TOKENIZER}.encoder"
_ENCODER, _START, _PARAMS = ".encoder", ".start", "params:"


def made_encoder(node: Node) -> str:
    """Catalog entry of the encoder that a step makes; empty for none, and for a finetuning, which makes several."""
    if f"{_PARAMS}{FINETUNE}" in node.inputs:
        return ""
    return next((name for name in node.outputs if name.endswith(_ENCODER)), "")


def maker_key(node: Node) -> str:
    """Key of the parameters of a step that makes an encoder: a phase or ``import``; empty for steps without any."""
    keys = [name.removeprefix(_PARAMS) for name in node.inputs if name.startswith(_PARAMS)]
    own = made_encoder(node).removesuffix(_ENCODER)
    return next((key for key in keys if key in (own, IMPORT)), "") if own else ""


def trains(node: Node) -> bool:
    """True for a step that trains a phase."""
    return maker_key(node) not in ("", IMPORT)


def start_of(node: Node) -> str:
    """Catalog entry of the weights that a training starts from; empty for weights of a seed."""
    return next((name for name in parents_of(node) if name != TOKENIZER_ENTRY), "")


def parents_of(node: Node) -> list[str]:
    """Catalog entries of the weights that a training starts from, and of the tokenizer whose codes it predicts."""
    found = [name for name in node.inputs if name.endswith((_ENCODER, _START))] if trains(node) else []
    return sorted(found, key=lambda name: name == TOKENIZER_ENTRY)


def read_encoders(pipeline: Pipeline) -> list[str]:
    """Catalog entries of the stored encoders that a run reads and does not make."""
    return sorted(name for name in pipeline.inputs() if name.endswith(_ENCODER))


def stored_start(node: Node, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> CheckpointHeader | None:
    """Header of the weights that a training starts from; None if there is no such file before the run.

    Args:
        node: The step.
        pipeline: All steps of the run, one of which may make the weights.
        catalog: Catalog of the run.

    Raises:
        CheckpointError: The file cannot be read.
    """
    return stored_before(start_of(node), pipeline, catalog)


def stored_before(name: str, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> CheckpointHeader | None:
    """Header of the weights of an entry, see ``stored_start``."""
    if not name or name not in catalog or name in pipeline.all_outputs() or not catalog[name].exists():
        return None
    return header_of(catalog[name])


def header_of(dataset: Any) -> CheckpointHeader | None:
    """Header of a file of weights, without torch; None for an entry of another kind, as tests have them."""
    if isinstance(dataset, StartFileDataset):
        return dataset.header_without_torch()
    return dataset.header() if isinstance(dataset, CheckpointDataset) else None
