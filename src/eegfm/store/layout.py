"""File names of a signal store, and the constants that its writer and reader share."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from eegfm.errors import StoreError
from eegfm.files import write_atomically
from eegfm.recording import Montage

FORMAT_VERSION = 2  # 2: index lines say which channels are bad
STORE_FILE = "store.json"
MONTAGE_FILE = "montage.json"
SAMPLE_DTYPE = np.dtype("<i2")
SHARD_BYTES = 4 << 30
BLOCK_ROWS = 1 << 16
_CRC = "crc32c"


def shard_path(folder: Path, montage: str, shard: int) -> Path:
    """File of one shard: raw little-endian int16, time-major (T, C), recordings back to back."""
    return folder / montage / f"shard_{shard:04d}.i16"


def n_blocks(n_rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of checksummed blocks of recordings with these lengths."""
    return -(-n_rows // BLOCK_ROWS)


@dataclass(frozen=True)
class StoreFacts:
    """Facts about a whole store.

    Args:
        rate_hz: Sampling rate of every signal.
        is_simulated: Whether the recordings are simulated.
        filters: Filter edges of every signal: ``low_hz``, ``high_hz``, ``notch_hz``.
        made_by: Hash of the parameters and the code that made every recording, without the readers of formats.
        format_version: Version of the layout of the files.
        made_from: What ``made_by`` is the hash of, to say what changed: ``parameters``, ``code`` by module, and
            ``libraries``. It is not compared.
        raw_folder: Folder of the raw files at the last run; empty if unknown. It is not compared.
    """

    rate_hz: float
    is_simulated: bool = False
    filters: dict[str, float | None] = field(default_factory=dict)
    made_by: str = ""
    format_version: int = FORMAT_VERSION
    made_from: dict[str, dict[str, Any]] = field(default_factory=dict, compare=False)
    raw_folder: str = field(default="", compare=False)


def is_of_this_format(folder: Path) -> bool:
    """True if this version can read the store. Also True for damaged facts, which ``read_facts`` refuses."""
    facts = _read_sealed(folder / STORE_FILE)
    return facts is None or facts.get("format_version") == FORMAT_VERSION


def write_facts(folder: Path, facts: StoreFacts) -> None:
    """Write the facts of a store."""
    _write_sealed(folder / STORE_FILE, asdict(facts))


def read_facts(folder: Path) -> StoreFacts:
    """Read the facts of a store.

    Raises:
        StoreError: Not a store, one of another format version, or the file is damaged.
    """
    path = folder / STORE_FILE
    if not path.is_file():
        raise StoreError(f"{folder}: holds no signal store; make it with: kedro run --pipelines=ingest")
    facts = _read_sealed(path)
    if facts is None or not facts.keys() <= {f.name for f in fields(StoreFacts)}:
        raise StoreError(f"{path} is damaged; move {folder} away and run: kedro run --pipelines=ingest")
    if facts.get("format_version") != FORMAT_VERSION:
        raise StoreError(
            f"{folder}: store format {facts.get('format_version')}, this version reads {FORMAT_VERSION}; "
            "make it again with: kedro run --pipelines=ingest"
        )
    return StoreFacts(**facts)


def write_montage(folder: Path, montage: Montage) -> None:
    """Write the description of a montage beside its shards, once.

    Raises:
        StoreError: Another description exists already, or the description is damaged.
    """
    path = folder / montage.name / MONTAGE_FILE
    if path.exists():
        if read_montage(folder, montage.name) != montage:
            raise StoreError(f"{path} describes other electrodes than the recordings have; move {folder} away")
    else:
        _write_sealed(path, montage.to_dict())


def read_montage(folder: Path, name: str) -> Montage:
    """Read the description of a montage.

    Raises:
        StoreError: The description is missing or damaged.
    """
    path = folder / name / MONTAGE_FILE
    content = _read_sealed(path) if path.is_file() else None
    montage = Montage.from_dict(content) if content else None
    if montage is None or montage.name != name:
        raise StoreError(
            f"{path} is missing or damaged; delete the folder {path.parent} and convert its recordings again with: "
            "kedro run --pipelines=ingest"
        )
    return montage


def _write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON that carries its own CRC-32C."""
    write_atomically(path, json.dumps({**content, _CRC: _seal(content)}, indent=1).encode())


def _read_sealed(path: Path) -> dict[str, Any] | None:
    """Content of the file; None if it differs from its checksum.

    A store of an earlier format has no checksum. The caller refuses it by its format version.
    """
    try:
        content = json.loads(path.read_bytes())
    except ValueError:  # no JSON, or no text at all
        return None
    if not isinstance(content, dict):
        return None
    crc = content.pop(_CRC, None)
    is_earlier = crc is None and content.get("format_version", FORMAT_VERSION) != FORMAT_VERSION
    return content if is_earlier or crc == _seal(content) else None


def _seal(content: Mapping[str, Any]) -> str:
    return f"{google_crc32c.value(json.dumps(content, separators=(',', ':')).encode()):08x}"
