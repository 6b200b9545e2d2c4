"""Read files of ``torch.save`` without executing anything, and write an encoder as such a file."""

import io
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eegfm.checkpoint import Checkpoint, header_of, sealed_texts, unsealed
from eegfm.errors import CheckpointError, DamageError
from eegfm.files import write_atomically
from eegfm.nn.foreign_tensors import MAX_GROWTH, SMALL_BYTES, checked_arrays

TENSORS = "tensors"
"""Key of the weights, by the names that an encoder file gives them."""
_DAMAGED = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError),
    *(TypeError, ValueError, struct.error, zipfile.BadZipFile),
)
"""Errors that torch, its unpickler and zipfile raise about damaged files. Nothing but the file can cause them here."""
_FETCH = "fetch it again, or save it again with the eegfm that made it"


def read_torch_file(path: Path, *, allowed: Sequence[type] = (), remedy: str = _FETCH) -> Any:
    """Read what ``torch.save`` wrote: tensors, numbers, texts, lists and dicts. Nothing in it is executed.

    Args:
        path: The file.
        allowed: Further classes that hold data only.
        remedy: Advice to the user if the file holds more.

    Raises:
        CheckpointError: The file is damaged, holds objects that would have to be executed, or inflates to many times
            its size.
    """
    _refuse_zip_bomb(path)
    try:
        with torch.serialization.safe_globals(list(allowed)), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected pickle protocol")  # what follows is one line
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: holds more than weights, or is damaged ({_reason(error)}), and is not unpickled; {remedy}"
        ) from error
    except _DAMAGED as error:
        raise CheckpointError(f"{path}: not readable as a checkpoint of torch ({_reason(error)})") from error


def torch_content(path: Path, checkpoint: Checkpoint) -> dict[str, Any]:
    """Make the dict that ``torch.save`` writes of a checkpoint: header as text, checksums, and ``tensors`` by name.

    Args:
        path: File that the error names.
        checkpoint: Weights and header.

    Raises:
        CheckpointError: A weight is not finite.
    """
    tensors = {name: torch.from_numpy(np.array(value)) for name, value in checkpoint.tensors.items()}
    return {**sealed_texts(path, checkpoint), TENSORS: tensors}


def checkpoint_of(content: Any, path: Path) -> Checkpoint:
    """Make a checkpoint of a dict that ``torch.save`` wrote: the inverse of ``torch_content``.

    Args:
        content: What ``read_torch_file`` returned. Keys of other programs do not matter.
        path: File that errors name.

    Raises:
        CheckpointError: There is no header, it is of another format, or header or weights are damaged.
    """
    if not isinstance(content, Mapping):
        raise DamageError(f"{path}: holds {type(content).__name__} and no eegfm header; import foreign weights first")
    header = header_of(path, content)
    tensors = content.get(TENSORS)
    if not isinstance(tensors, Mapping) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise DamageError(f"{path}: damaged: it holds no weights by name")
    return unsealed(path, header, content, checked_arrays(path, tensors, keeps_types=True))


def save_torch_file(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint with ``torch.save``, whole or not at all.

    Raises:
        CheckpointError: A weight is not finite; nothing is written then.
    """
    buffer = io.BytesIO()
    torch.save(torch_content(path, checkpoint), buffer)
    write_atomically(path, buffer.getvalue())


def load_torch_checkpoint(path: Path) -> Checkpoint:
    """Read weights and header from a file of ``torch.save``, and compare both with their checksums.

    Raises:
        CheckpointError: The file is missing, damaged, or not one of ours.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    return checkpoint_of(read_torch_file(path), path)


def _refuse_zip_bomb(path: Path) -> None:
    """Torch stores without compression. A file that inflates to many times its size was not made by it."""
    n_bytes = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as file:
            n_inflated = sum(member.file_size for member in file.infolist())
    except _DAMAGED:
        return  # no zip file, but an older format, or damage that torch names
    if n_inflated > max(SMALL_BYTES, MAX_GROWTH * n_bytes):
        raise CheckpointError(
            f"{path}: its {n_bytes} bytes inflate to {n_inflated / 1e9:.3g} GB and are not unpacked: fetch it again "
            "or save its weights as .safetensors (safetensors.torch.save_file) and import that"
        )


def _reason(error: Exception) -> str:
    """The part of torch's message that names the object it found."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    found = next((line for line in lines if "Unsupported" in line or "GLOBAL" in line), lines[0] if lines else "")
    return found[:160] if re.search("[a-z]", found) else f"{type(error).__name__} {found}".strip()[:160]
