"""Refuse a run that would replace an encoder which it did not make, before its first step and before it saves."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from eegfm.checkpoint import Checkpoint, CheckpointHeader, read_header, save_checkpoint
from eegfm.errors import CheckpointError
from eegfm.io.checkpoint import CheckpointDataset
from eegfm.overwrite import changed_code, changed_parameters, described, refusal, stored_header
from eegfm.project.encoder_steps import IMPORT, made_encoder, maker_key, parents_of, stored_before
from eegfm.provenance import changes

logger = logging.getLogger(__name__)

Catalog = CatalogProtocol[Any, Any]
_SIGNALS = ".signals"


def check_encoder(pipeline: Pipeline, catalog: Catalog) -> None:
    """Compare the stored encoders with what the run would make, as far as parameters, start and code tell.

    The data are compared when the training begins. If the run may replace an encoder, the log says what is replaced.

    Raises:
        CheckpointError: A stored encoder was made otherwise, or cannot be read.
    """
    for node in pipeline.nodes:
        name = made_encoder(node)
        if name and isinstance(catalog[name], CheckpointDataset):
            _check(node, pipeline, catalog)


def keep_other_encoder(node: Node, catalog: Catalog, outputs: dict[str, Any]) -> None:
    """Save a trained encoder beside another one that somebody else has stored during the training.

    Raises:
        CheckpointError: There is another one. The message says where the new one lies.
    """
    name = made_encoder(node)
    made = outputs.get(name)
    if not isinstance(made, Checkpoint) or not isinstance(catalog[name], CheckpointDataset):
        return
    file, (key, params) = _file(catalog, name), _parameters(node, catalog)
    if params is None or params.overwrite or not file.exists() or _is_of(file, made):
        return
    beside = file.with_name(f"{file.stem}.{made.header.fingerprint}{file.suffix}")
    save_checkpoint(beside, made)
    raise CheckpointError(
        f"{file} holds another encoder, which was stored there during this run; the new one lies at {beside}: give "
        f"each a folder of its own with --params=model=NAME, or replace the other with --params={key}.overwrite=true"
    )


def _check(node: Node, pipeline: Pipeline, catalog: Catalog) -> None:
    name = made_encoder(node)
    dataset, file, (key, params) = catalog[name], _file(catalog, name), _parameters(node, catalog)
    if params is None or not file.exists():
        return
    dataset.may_replace = params.overwrite
    if params.overwrite:
        logger.warning("%s.overwrite: the encoder at %s will be replaced", key, file)
        return
    header = stored_header(file, key)
    assert header is not None, "the file exists"
    made = header.record.parameters.get(f"params:{key}") if header.record else None
    changed = changed_parameters(_counted(made, node), _counted(params.identity(), node), key) if made else ""
    if key != IMPORT and not header.imported:
        runs = f"{key}.runs"
        logs = Path(catalog[runs]._describe()["path"]) if runs in catalog else Path()
        changed = changed or _changed_start(header, node, pipeline, catalog) or changed_code(header, logs)
    if changed or bool(header.imported) != (key == IMPORT):
        raise refusal(file, described(header, key, changed, _imported_file(header, catalog)), key)


def _changed_start(header: CheckpointHeader, node: Node, pipeline: Pipeline, catalog: Catalog) -> str:
    """In words, that a stored encoder started from other weights than this run would; empty if that is not known.

    The tokenizer whose codes it learned to predict counts like a start.
    """
    stored = {name: stored_before(name, pipeline, catalog) for name in parents_of(node)}
    made = [name for name, one in stored.items() if one is None]
    if made:
        return next(filter(None, (_start_made_anew(header, name, pipeline, catalog) for name in made)), "")
    now = tuple(one.as_parent() for one in stored.values() if one)
    if header.parents == now:
        return ""
    before, after = (", ".join(f"{p.phase} {p.fingerprint}" for p in parents) for parents in (header.parents, now))
    return f"from other weights ({before or 'a seed'} -> {after or 'a seed'})"


def _counted(identity: Mapping[str, Any], node: Node) -> dict[str, Any]:
    """Parameters of a training that decide its encoder: without pairs of corpora that it does not train on.

    Pairs for all corpora and the same pairs for each of them are equal here.
    """
    pairs = identity.get("pairs")
    if not pairs:
        return dict(identity)
    corpora = [name.removesuffix(_SIGNALS) for name in node.inputs if name.endswith(_SIGNALS)]
    return {**identity, "pairs": {name: pairs.get(name) if isinstance(pairs, Mapping) else pairs for name in corpora}}


def _start_made_anew(header: CheckpointHeader, entry: str, pipeline: Pipeline, catalog: Catalog) -> str:
    """In words, that this run makes the start of a stored encoder anew as another one; empty if that is not known."""
    maker = next((node for node in pipeline.nodes if entry and made_encoder(node) == entry), None)
    if maker is None or not isinstance(catalog[entry], CheckpointDataset) or not catalog[entry].exists():
        return ""
    key, params = _parameters(maker, catalog)
    try:
        stored = read_header(_file(catalog, entry))
    except CheckpointError:
        return ""  # refused on its own, or replaced
    if stored.record is None or stored.as_parent() not in header.parents:
        return ""  # what is made anew may be what the encoder started from
    made = stored.record.parameters.get(f"params:{key}")
    changed = changes(_counted(made, maker), _counted(params.identity(), maker), key) if made else ""
    if changed:
        return f"from other weights ({changed})"
    before = (_start_made_anew(stored, name, pipeline, catalog) for name in parents_of(maker))
    return next(filter(None, before), "")


def _is_of(file: Path, made: Checkpoint) -> bool:
    """True if a stored encoder is from the same run, from one that the run went on from, or from the same import."""
    try:
        header = stored_header(file, "")
    except CheckpointError:
        return False
    names = {made.header.fingerprint, *made.header.continues}
    return header is None or (header.imported == made.header.imported and header.fingerprint in names)


def _file(catalog: Catalog, name: str) -> Path:
    return Path(catalog[name]._describe()["filepath"])


def _parameters(node: Node, catalog: Catalog) -> tuple[str, Any]:
    """Key and value of the parameters that may allow to replace an encoder; no value for steps without any."""
    key = maker_key(node)
    return key, catalog.load(f"params:{key}") if key else None


def _imported_file(header: Any, catalog: Catalog) -> str:
    """Name of the file that an encoder was imported from, as far as the report of the import is still there."""
    name = "import_weights.report"
    if not header.imported or name not in catalog or not catalog[name].exists():
        return ""
    report = catalog.load(name) or {}  # a run that trains leaves it out of its report
    return str(report.get("file", "")) if report.get("file_sha256") == header.imported.file_sha256 else ""
