"""Read weights from files that other programs wrote. Nothing in such a file is executed."""

import argparse
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from eegfm.checkpoint import HEADER_KEY
from eegfm.errors import CheckpointError
from eegfm.nn.foreign_tensors import checked_arrays, shown
from eegfm.nn.load_report import listed
from eegfm.nn.torch_file import read_torch_file
from eegfm.safetensors_header import read_safetensors_header
from eegfm.signal.pointers import is_there

SUFFIXES = (".safetensors", ".ckpt", ".pth", ".pt", ".bin")
_NESTINGS = ("state_dict", "model_state_dict", "model", "module")
_MAX_NESTINGS = 8
_CHUNK_BYTES = 1 << 24
_REMEDY = "where you trust it, save its state dict alone as .safetensors (safetensors.torch.save_file) and import that"


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
    if path.exists() and not path.is_file():
        raise CheckpointError(f"{path}: is no regular file; set FOREIGN_WEIGHTS to a file of weights")
    if not is_there(path):
        raise CheckpointError(f"{path}: no such file; set FOREIGN_WEIGHTS to a file of weights ({', '.join(SUFFIXES)})")
    if path.suffix not in SUFFIXES:
        raise CheckpointError(f"{path}: files of weights end in {', '.join(SUFFIXES)}")
    tensors = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    if not tensors:
        raise CheckpointError(f"{path}: holds no weights")
    return ForeignWeights(checked_arrays(path, tensors), _sha256(path))


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        metadata = read_safetensors_header(path).get("__metadata__")
        if isinstance(metadata, dict) and HEADER_KEY in metadata:
            raise CheckpointError(
                f"{path}: is an eegfm checkpoint and needs no import; copy it to "
                "06_models/pretrain/encoder.safetensors under the data folder"
            )
        return load_file(path)
    except CheckpointError:
        raise
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not readable as safetensors ({error})") from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    # LaBraM and others store their command line beside the weights. A Namespace holds data and executes nothing.
    content = read_torch_file(path, allowed=[argparse.Namespace], remedy=_REMEDY)
    return _state_dict(path, content)


def _state_dict(path: Path, content: Any) -> dict[str, Tensor]:
    """The state dict inside the wrappers of training frameworks."""
    for depth in range(_MAX_NESTINGS + 1):
        wrapped = isinstance(content, Mapping) and [k for k in _NESTINGS if isinstance(content.get(k), Mapping)]
        if not wrapped:
            break
        if depth == _MAX_NESTINGS:
            raise CheckpointError(
                f"{path}: holds {wrapped[0]} inside {wrapped[0]} more than {_MAX_NESTINGS} times, or inside itself; "
                "save the state dict alone and import that"
            )
        content = content[wrapped[0]]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        keys = sorted(map(_plain, content)) if isinstance(content, Mapping) else [type(content).__name__]
        raise CheckpointError(
            f"{path}: holds {listed(keys)}, no state dict; known nestings: {', '.join(_NESTINGS)}; save the state dict "
            "alone and import that"
        )
    return dict(content)


def _plain(key: Any) -> str:
    """A key for a message: plain short text as it is, anything else in quotes."""
    return key if isinstance(key, str) and key.isprintable() and len(key) < 80 else shown(key)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
