"""Refuse a run that would replace an encoder which it did not make, before its first step and before it saves."""

import logging
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from eegfm.checkpoint import Checkpoint, save_checkpoint
from eegfm.errors import CheckpointError
from eegfm.io.checkpoint import CheckpointDataset
from eegfm.overwrite import changed_code, changed_parameters, described, refusal, stored_header

logger = logging.getLogger(__name__)

ENCODER = "pretrain.encoder"
_PARAMETERS = {"params:pretrain": "pretrain", "params:import": "import"}


def check_encoder(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
    """Compare the stored encoder with what the run would make, as far as parameters and code tell.

    The data are compared when the training begins. If the run may replace the encoder, the log says what is replaced.

    Raises:
        CheckpointError: The stored encoder was made otherwise, or cannot be read.
    """
    for node in pipeline.nodes:
        if ENCODER in node.outputs and isinstance(catalog[ENCODER], CheckpointDataset):
            _check(node, catalog)


def keep_other_encoder(node: Node, catalog: CatalogProtocol[Any, Any], outputs: dict[str, Any]) -> None:
    """Save a trained encoder beside another one that somebody else has stored during the training.

    Raises:
        CheckpointError: There is another one. The message says where the new one lies.
    """
    made = outputs.get(ENCODER)
    if not isinstance(made, Checkpoint) or not isinstance(catalog[ENCODER], CheckpointDataset):
        return
    file, (key, params) = _file(catalog), _parameters(node, catalog)
    if params is None or params.overwrite or not file.exists() or _is_of(file, made):
        return
    beside = file.with_name(f"{file.stem}.{made.header.fingerprint}{file.suffix}")
    save_checkpoint(beside, made)
    raise CheckpointError(
        f"{file} holds another encoder, which was stored there during this run; the new one lies at {beside}: give "
        f"each a folder of its own with --params=model=NAME, or replace the other with --params={key}.overwrite=true"
    )


def _check(node: Node, catalog: CatalogProtocol[Any, Any]) -> None:
    dataset, file, (key, params) = catalog[ENCODER], _file(catalog), _parameters(node, catalog)
    if params is None or not file.exists():
        return
    dataset.may_replace = params.overwrite
    if params.overwrite:
        logger.warning("%s.overwrite: the encoder at %s will be replaced", key, file)
        return
    header = stored_header(file, key)
    assert header is not None, "the file exists"
    runs = Path(catalog["pretrain.runs"]._describe()["path"]) if "pretrain.runs" in catalog else Path()
    made = header.record.parameters.get(f"params:{key}") if header.record else None
    changed = changed_parameters(made, params.identity(), key) if made else ""
    if key == "pretrain" and not header.imported:
        changed = changed or changed_code(header, runs)
    if changed or bool(header.imported) != (key == "import"):
        raise refusal(file, described(header, key, changed, _imported_file(header, catalog)), key)


def _is_of(file: Path, made: Checkpoint) -> bool:
    """True if a stored encoder is from the same run, from one that the run went on from, or from the same import."""
    try:
        header = stored_header(file, "")
    except CheckpointError:
        return False
    names = {made.header.fingerprint, *made.header.continues}
    return header is None or (header.imported == made.header.imported and header.fingerprint in names)


def _file(catalog: CatalogProtocol[Any, Any]) -> Path:
    return Path(catalog[ENCODER]._describe()["filepath"])


def _parameters(node: Node, catalog: CatalogProtocol[Any, Any]) -> tuple[str, Any]:
    """Key and value of the parameters that may allow to replace an encoder; no value for steps without any."""
    for name, key in _PARAMETERS.items():
        if name in node.inputs:
            return key, catalog.load(name)
    return "", None


def _imported_file(header: Any, catalog: CatalogProtocol[Any, Any]) -> str:
    """Name of the file that an encoder was imported from, as far as the report of the import is still there."""
    name = "import_weights.report"
    if not header.imported or name not in catalog or not catalog[name].exists():
        return ""
    report = catalog.load(name)
    return str(report.get("file", "")) if report.get("file_sha256") == header.imported.file_sha256 else ""
