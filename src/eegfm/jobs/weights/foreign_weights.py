"""Read weights from files that other programs wrote. Nothing in such a file is executed."""

import argparse
import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from eegfm.checkpoint import HEADER_KEY
from eegfm.errors import CheckpointError
from eegfm.nn.load_report import listed
from eegfm.signal.pointers import is_there

SUFFIXES = (".safetensors", ".ckpt", ".pth", ".pt", ".bin")
_NESTINGS = ("state_dict", "model_state_dict", "model", "module")
_CHUNK_BYTES = 1 << 24


@dataclass(frozen=True)
class ForeignWeights:
    """Weights with the names of their file.

    Args:
        tensors: Weights by published name; floating point as float32.
        file_sha256: SHA-256 of the file.
    """

    tensors: dict[str, NDArray[np.generic]]
    file_sha256: str


def read_foreign_weights(path: Path) -> ForeignWeights:
    """Read a ``.safetensors`` file, or the numbers of a checkpoint of torch or Lightning.

    Raises:
        CheckpointError: The file is missing, damaged, an eegfm checkpoint, or holds objects that would have to be
            executed.
        RecordingError: The file was not fetched (``not_fetched``).
    """
    if not is_there(path):
        raise CheckpointError(f"{path}: no such file; set FOREIGN_WEIGHTS to a file of weights ({', '.join(SUFFIXES)})")
    if path.suffix not in SUFFIXES:
        raise CheckpointError(f"{path}: files of weights end in {', '.join(SUFFIXES)}")
    tensors = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    if not tensors:
        raise CheckpointError(f"{path}: holds no weights")
    return ForeignWeights({name: _array(value) for name, value in tensors.items()}, _sha256(path))


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            if HEADER_KEY in (file.metadata() or {}):
                raise CheckpointError(
                    f"{path}: is an eegfm checkpoint and needs no import; copy it to "
                    "06_models/pretrain/encoder.safetensors under the data folder"
                )
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not readable as safetensors ({error})") from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        # LaBraM and others store their command line beside the weights. A Namespace holds data and executes nothing.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: holds more than weights, or is damaged ({_reason(error)}), and is not unpickled; where you trust "
            "it, save its state dict alone as .safetensors (safetensors.torch.save_file) and import that"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not readable as a checkpoint of torch ({_reason(error)})") from error
    return _state_dict(path, content)


def _state_dict(path: Path, content: Any) -> dict[str, Tensor]:
    """The state dict inside the wrappers of training frameworks."""
    while isinstance(content, Mapping):
        inner = next((content[key] for key in _NESTINGS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        keys = sorted(map(str, content)) if isinstance(content, Mapping) else [type(content).__name__]
        raise CheckpointError(
            f"{path}: holds {listed(keys)}, no state dict; known nestings: {', '.join(_NESTINGS)}; save the state dict "
            "alone and import that"
        )
    return dict(content)


def _array(value: Tensor) -> NDArray[np.generic]:
    """Convert to numpy. bfloat16 becomes float32, because numpy has no bfloat16."""
    plain = value.detach().float() if value.is_floating_point() else value.detach()
    array: NDArray[np.generic] = plain.numpy()
    return array


def _reason(error: Exception) -> str:
    """The part of torch's message that names the object it found."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    found = next((line for line in lines if "Unsupported" in line or "GLOBAL" in line), lines[0] if lines else "")
    return found[:160] or type(error).__name__


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
