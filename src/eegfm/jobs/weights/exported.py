"""Hugging Face layout of an encoder: config.json and model.safetensors, read back strictly."""

import hashlib
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.torch import save as save_tensors

from eegfm.ancestry import ImportedWeights
from eegfm.checkpoint import Checkpoint, CheckpointHeader
from eegfm.config import StrictModel
from eegfm.errors import CheckpointError
from eegfm.files import write_atomically
from eegfm.inference.module import Inference
from eegfm.jobs.weights.answering import build_exported
from eegfm.json_text import parse_json
from eegfm.safetensors_header import parse_safetensors_header

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"


class ExportedConfig(StrictModel):
    """Contents of config.json.

    Attributes:
        model_type: Program that made the export.
        montage: Montage of the other files of the export.
        header: Header of the checkpoint, without persons, signals, held-out persons, and the record of a run.
    """

    model_type: Literal["eegfm"] = "eegfm"
    montage: str
    header: CheckpointHeader


def write_exported(model: Inference, header: CheckpointHeader, folder: Path) -> ExportedConfig:
    """Write both files."""
    weights = {name: value.contiguous() for name, value in model.weights().items()}
    data = save_tensors(weights, metadata={"format": "pt"})
    write_atomically(folder / WEIGHTS_FILE, data)
    public = public_header(header, hashlib.sha256(data).hexdigest())
    config = ExportedConfig(montage=model.montage, header=public)
    write_atomically(folder / CONFIG_FILE, (config.model_dump_json(indent=2) + "\n").encode())
    return config


def public_header(header: CheckpointHeader, file_sha256: str) -> CheckpointHeader:
    """The header without names of persons. To its readers the persons are unknown."""
    source = header.imported.source if header.imported else f"eegfm run {header.fingerprint}"
    note = header.imported.note if header.imported else ""
    imported = ImportedWeights(source=source, file_sha256=file_sha256, note=note)
    unsaid: dict[str, Any] = dict.fromkeys(("persons", "signals", "kept_out", "record"))
    if header.start is not None:
        named = {name: value for name, value in header.start.items() if name in ("test_persons", "validation_persons")}
        unsaid["start"] = header.start | {name: len(value) for name, value in named.items()}
    return header.model_copy(update={**unsaid, "imported": imported})


def load_exported(folder: Path | str, montage: str | None = None, *, accept_other_code: bool = False) -> Inference:
    """Rebuild an exported encoder with reference, adapter and head, in evaluation mode, on the CPU.

    Args:
        folder: Folder with config.json and model.safetensors.
        montage: Name of one of its montages; by default the exported montage.
        accept_other_code: Whether weights from other code are accepted, with a warning.

    Raises:
        CheckpointError: A file is missing or damaged, or the weights do not fit or were made by other code.
        ConfigError: The montage does not exist.

    Returns:
        Features and vectors; of an encoder that was exported with its head, an ``Answering``, which also gives answers.
    """
    config = read_exported_config(Path(folder))
    checkpoint = read_exported(Path(folder))
    return build_exported(checkpoint, montage or config.montage, accept_other_code=accept_other_code)


def read_exported(folder: Path) -> Checkpoint:
    """Weights and header of an export.

    Raises:
        CheckpointError: A file is missing or damaged, or the two do not belong together.
    """
    config, path = read_exported_config(folder), folder / WEIGHTS_FILE
    if path.exists() and not path.is_file():
        raise CheckpointError(f"{path}: is no regular file; name the folder of an export")
    try:
        data = path.read_bytes()
        parse_safetensors_header(data)
        tensors = load_tensors(data)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not readable as safetensors ({error})") from error
    expected = config.header.imported.file_sha256 if config.header.imported else ""
    if hashlib.sha256(data).hexdigest() != expected:
        raise CheckpointError(f"{path}: is not the file that {CONFIG_FILE} beside it describes; fetch both again")
    return Checkpoint(tensors, config.header)


def is_exported(path: Path) -> bool:
    """True if a file of weights lies in an export of eegfm."""
    config = path.with_name(CONFIG_FILE)
    if path.name != WEIGHTS_FILE or not config.is_file():
        return False
    content = _json(config)
    return isinstance(content, dict) and content.get("model_type") == "eegfm"


def read_exported_config(folder: Path) -> ExportedConfig:
    """Read the config.json of an export.

    Raises:
        CheckpointError: The file is missing, or has another format.
    """
    path = folder / CONFIG_FILE
    try:
        return ExportedConfig.model_validate(_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CheckpointError(f"{path}: is no configuration of this eegfm ({where}: {first['msg']})") from error


def _json(path: Path) -> Any:
    try:
        return parse_json(path.read_text(encoding="utf-8"), strict=True)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not readable as JSON ({error}); name the folder of an export") from error
