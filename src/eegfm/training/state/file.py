"""Files of training states: one dict of ``torch.save`` with a JSON header, sealed by a checksum over everything.

Header, checksums and ``tensors`` are those of a ``.pt`` file of an encoder, so that its reader reads both.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import google_crc32c
import torch
from torch import Tensor

from eegfm.checkpoint import HEADER_KEY, header_of, sealed_texts
from eegfm.errors import CheckpointError, DamageError, TrainingError
from eegfm.files import write_atomically
from eegfm.nn.torch_file import read_torch_file
from eegfm.training.state.content import TrainState

STATE_FORMAT: Literal[2] = 2
_SEAL = "seal"
_OWN = (
    "fingerprint",
    "step",
    "n_steps",
    "tensors",
    "module",
    "optimizer",
    "schedule",
    "parts",
    "machine",
    "awaits_validation",
)
_CRC_BYTES = 1 << 20


def write_state(path: Path, state: TrainState) -> None:
    """Write a state whole or not at all.

    Raises:
        TrainingError: A weight is not finite; nothing is written then.
    """
    bad = [name for name, value in state.tensors.items() if value.is_floating_point() and not value.isfinite().all()]
    if bad:
        raise TrainingError(
            f"weights are not finite after step {state.step} ({', '.join(bad[:3])}); the last checkpoint is kept; "
            "lower optimizer.learning_rate"
        )
    content: dict[str, Any] = {**sealed_texts(path, state.checkpoint()), "state_format": STATE_FORMAT}
    content |= {name: getattr(state, name) for name in _OWN}
    buffer = io.BytesIO()
    torch.save({**content, _SEAL: seal_of(content)}, buffer)
    write_atomically(path, buffer.getbuffer())


def read_state(path: Path) -> TrainState:
    """Read a state and compare it with its seal. Nothing in the file is executed.

    Raises:
        DamageError: The file is missing, damaged, or none of ours.
        CheckpointError: It is of another format.
    """
    if not path.is_file():
        raise DamageError(f"{path}: no such checkpoint")
    try:
        content = read_torch_file(path)
    except CheckpointError as error:
        raise DamageError(str(error)) from error
    if not isinstance(content, dict) or not isinstance(content.get("state_format"), int):
        raise DamageError(f"{path}: is no checkpoint of a training")
    if content["state_format"] != STATE_FORMAT:
        raise CheckpointError(
            f"{path}: is of format {content['state_format']}, this eegfm goes on from format {STATE_FORMAT} only; "
            "start anew with resume: false in the block of the phase, or go on with the eegfm that wrote it"
        )
    if content.pop(_SEAL, None) != _seal_or_none(content) or not {HEADER_KEY, *_OWN} <= content.keys():
        raise DamageError(f"{path}: damaged: it is not what was saved")
    try:
        header = header_of(path, content)
    except CheckpointError as error:
        raise CheckpointError(f"{error}; or start anew with resume: false in the block of the phase") from error
    return TrainState(header=header, **{name: content[name] for name in _OWN})


def seal_of(content: Mapping[str, Any]) -> str:
    """CRC-32C of everything in a state: names, types, shapes and values, in their order.

    Raises:
        TypeError: The content holds something that is no tensor, number, text, list or dict of them.
    """
    return f"{_extended(0, content):08x}"


def _seal_or_none(content: Mapping[str, Any]) -> str | None:
    try:
        return seal_of(content)
    except TypeError:
        return None


def _extended(crc: int, value: Any) -> int:
    if isinstance(value, Tensor):
        flat = value.contiguous().reshape(-1).view(torch.uint8).numpy()
        crc = _said(crc, f"tensor {value.dtype} {tuple(value.shape)}")
        for first in range(0, flat.size, _CRC_BYTES):
            crc = google_crc32c.extend(crc, flat[first : first + _CRC_BYTES])
        return crc
    if isinstance(value, Mapping):
        crc = _said(crc, f"dict {len(value)}")
        for name, one in value.items():
            crc = _extended(_extended(crc, name), one)
        return crc
    if isinstance(value, list | tuple):
        crc = _said(crc, f"list {len(value)}")
        for one in value:
            crc = _extended(crc, one)
        return crc
    if value is None or type(value) in {bool, int, float, str}:
        return _said(crc, f"{type(value).__name__} {value!r}")
    raise TypeError(f"a state holds {type(value).__name__}, which no file of a training may hold")


def _said(crc: int, text: str) -> int:
    return int(google_crc32c.extend(crc, f"{text};".encode()))
