"""Encoder checkpoints: safetensors files whose header says how to use the weights. No torch here."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import google_crc32c
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, field_validator

from eegfm.ancestry import Ancestry
from eegfm.config import first_problem
from eegfm.errors import CheckpointError, DamageError
from eegfm.files import write_atomically
from eegfm.json_text import parse_json
from eegfm.provenance import Record, sha256_of
from eegfm.recording import BadChannels
from eegfm.safetensors_header import read_safetensors_header
from eegfm.stated_spec import check_spec

FORMAT_VERSION: Literal[6] = 6
HEADER_KEY = "eegfm"
WEIGHTS_CRC_KEY = "eegfm_weights_crc32c"
SHA256_KEY = "eegfm_sha256"
"""Key of the hash over the header and the checksum of the weights, so that a header read alone can be trusted."""
_CRC_BYTES = 1 << 20  # per call, which holds the interpreter's lock


class CheckpointHeader(Ancestry):
    """Header of a checkpoint. Every field is plain data; no field can name code.

    ``encoder``, ``adapter`` and ``objective`` are the configurations that built the modules. They are validated again
    by the same unions when they are read. ``signal_spec`` describes the data. ``encoder_spec`` describes what the
    encoder receives after re-referencing and the adapter. ``fingerprint`` names the run: a hash of its parameters, its
    samples and its code. ``encoder_code`` holds a short hash of each module between stored microvolts and encoded
    vectors, because the same weights compute other values in other code. ``start`` is the report on the weights that a
    training took over from another checkpoint, None where it took none. ``record`` is the record of the Kedro run that
    made the file. ``bad_channels`` is the treatment of bad channels before the encoder. ``normalization`` is the
    configuration of what makes microvolts unitless before the encoder. ``license`` is the license of the weights.
    ``published`` says whether the weights are those of the last step or of the best validation; ``n_steps`` is their
    step. ``continues`` names shorter runs that differ from this one in nothing but their steps, and that it took over
    from. ``labels`` names the labels of auxiliary heads, each with its classes by number; a number has none.
    """

    format_version: Literal[6] = FORMAT_VERSION
    encoder: dict[str, Any]
    adapter: dict[str, Any]
    objective: dict[str, Any]
    labels: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    signal_spec: dict[str, Any]
    encoder_spec: dict[str, Any]
    unit: Literal["uV"] = "uV"
    normalization: dict[str, Any]
    reference: str
    bad_channels: BadChannels
    filters: dict[str, Any]
    license: str | None
    splits_sha256: str | None
    mixture_sha256: str | None
    seed: int
    n_steps: int | None
    published: Literal["last", "best"] = "last"
    continues: tuple[str, ...] = ()
    versions: dict[str, str]
    encoder_code: dict[str, str]
    start: dict[str, Any] | None = None
    record: Record | None = None

    @field_validator("signal_spec", "encoder_spec")
    @classmethod
    def _spec_within_limits(cls, value: dict[str, Any]) -> dict[str, Any]:
        return check_spec(value)


@dataclass(frozen=True)
class Checkpoint:
    """Weights by name and the header that explains them."""

    tensors: Mapping[str, NDArray[np.generic]] = field(repr=False)
    header: CheckpointHeader

    @property
    def n_bytes(self) -> int:
        """Bytes of all weights."""
        return sum(value.nbytes for value in self.tensors.values())

    def identity(self) -> str:
        """Hash of weights and header, without the record and the versions of libraries."""
        header = self.header.model_dump(mode="json", exclude={"record", "versions"})
        return sha256_of([self.weights_sha256(), header])

    def weights_sha256(self) -> str:
        """Hash of the weights with their names."""
        sha = hashlib.sha256()
        for described, array in _described(self.tensors):
            sha.update(described)
            sha.update(array.data)
        return sha.hexdigest()

    def with_record(self, record: Record | None) -> "Checkpoint":
        """The same weights with another record."""
        return replace(self, header=self.header.model_copy(update={"record": record}))


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint whole or not at all. A record of other weights or another header is not written.

    Raises:
        CheckpointError: A weight is not finite; nothing is written then.
    """
    from safetensors.numpy import save

    # safetensors writes the bytes as they lie in memory. An array that is not contiguous would be read back wrong.
    tensors = {name: np.asarray(value, order="C") for name, value in checkpoint.tensors.items()}
    write_atomically(path, save(tensors, metadata=sealed_texts(path, checkpoint)))


def sealed_texts(path: Path, checkpoint: Checkpoint) -> dict[str, str]:
    """The texts that a file holds beside the weights: the header, and checksums of weights and header.

    Args:
        path: The file, for the message.
        checkpoint: What is to be written. A record of other weights or another header is left out.

    Raises:
        CheckpointError: A weight is not finite.
    """
    bad = [name for name, value in checkpoint.tensors.items() if not np.isfinite(value).all()]
    if bad:
        raise CheckpointError(f"{path}: weights are not finite ({', '.join(bad[:5])}); nothing was written")
    record = checkpoint.header.record
    if record is not None and record.contents != checkpoint.identity():
        checkpoint = checkpoint.with_record(None)
    crc = _weights_crc32c(checkpoint.tensors)
    said = {HEADER_KEY: checkpoint.header.model_dump_json(), WEIGHTS_CRC_KEY: crc}
    return {**said, SHA256_KEY: sha256_of(said)}


def load_checkpoint(path: Path) -> Checkpoint:
    """Read weights and header, and compare both with their checksums.

    Raises:
        CheckpointError: The file is missing, damaged, or not one of ours.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    texts = _read_texts(path)
    header = header_of(path, texts)
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise DamageError(f"{path}: not readable as safetensors ({error})") from error
    return unsealed(path, header, texts, tensors)


def unsealed(
    path: Path, header: CheckpointHeader, texts: Mapping[str, Any], tensors: Mapping[str, NDArray[np.generic]]
) -> Checkpoint:
    """Compare weights that were read with their checksum.

    Args:
        path: The file, for the message.
        header: See ``header_of``.
        texts: As ``sealed_texts`` gave them.
        tensors: Weights by name.

    Raises:
        DamageError: They differ.
    """
    if _weights_crc32c(tensors) != texts[WEIGHTS_CRC_KEY]:
        raise DamageError(f"{path}: damaged: its weights are not those that were saved")
    return Checkpoint(tensors, header)


def read_header(path: Path) -> CheckpointHeader:
    """Read only the header.

    Raises:
        CheckpointError: The file is missing, damaged, or not one of ours.
    """
    return header_of(path, _read_texts(path))


def _read_texts(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint; make it with the pipeline pretrain")
    try:
        metadata = read_safetensors_header(path).get("__metadata__") or {}
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            raise ValueError("its metadata are no texts by name")
    except (ValueError, OSError) as error:
        raise DamageError(f"{path}: not readable as safetensors ({error})") from error
    return metadata


def header_of(path: Path, texts: Mapping[str, Any]) -> CheckpointHeader:
    """Validate the header that a file holds as text, and compare it with its checksum.

    Args:
        path: The file, for messages.
        texts: As ``sealed_texts`` gave them.

    Raises:
        CheckpointError: There is no header, it is of another format, or it is damaged.
    """
    if not isinstance(texts.get(HEADER_KEY), str):
        raise DamageError(f"{path}: holds no eegfm header; import foreign weights before using them")
    try:
        content = parse_json(texts[HEADER_KEY], strict=True)
        _refuse_other_format(path, content)
        header = CheckpointHeader.model_validate(content)
    except CheckpointError:
        raise
    except ValueError as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else error
        raise DamageError(f"{path}: header does not fit format {FORMAT_VERSION} ({problem})") from error

    said = {key: texts.get(key, "") for key in (HEADER_KEY, WEIGHTS_CRC_KEY)}
    if not all(isinstance(text, str) for text in said.values()) or texts.get(SHA256_KEY) != sha256_of(said):
        raise DamageError(f"{path}: damaged: its header is not the one that was saved")
    return header


def _described(tensors: Mapping[str, NDArray[np.generic]]) -> Iterator[tuple[bytes, NDArray[np.generic]]]:
    """Description (name, type and shape) and contiguous values of each weight, sorted by name."""
    for name, value in sorted(tensors.items()):
        array = np.ascontiguousarray(value)
        yield f"{name} {array.dtype.str} {value.shape} ".encode(), array


def _weights_crc32c(tensors: Mapping[str, NDArray[np.generic]]) -> str:
    """CRC-32C of names, types, shapes and values. It is four times as fast as a hash, and suffices for damage."""
    crc = 0
    for described, array in _described(tensors):
        crc = google_crc32c.extend(crc, described)
        data = array.reshape(-1).view(np.uint8)
        for first in range(0, data.size, _CRC_BYTES):
            crc = google_crc32c.extend(crc, data[first : first + _CRC_BYTES])
    return f"{crc:08x}"


def _refuse_other_format(path: Path, content: Any) -> None:
    found = content.get("format_version") if isinstance(content, dict) else None
    if isinstance(found, int) and found != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: is of format {found}, this eegfm reads format {FORMAT_VERSION}, which says how "
            "signals are normalized before the encoder; pretrain (or import) it again, or use the eegfm that wrote it"
        )
