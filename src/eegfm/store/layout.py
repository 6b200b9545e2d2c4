"""Where things lie in a signal store, and the few numbers that its writer and reader share."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from eegfm.errors import StoreError
from eegfm.files import write_atomically
from eegfm.recording import Montage

FORMAT_VERSION = 2  # 2: index lines say which channels are bad
STORE_FILE = "store.json"
MONTAGE_FILE = "montage.json"
SAMPLE_DTYPE = np.dtype("<i2")
SHARD_BYTES = 4 << 30
BLOCK_ROWS = 1 << 16


def shard_path(folder: Path, montage: str, shard: int) -> Path:
    """File of one shard: raw little-endian int16, time-major (T, C), recordings back to back."""
    return folder / montage / f"shard_{shard:04d}.i16"


@dataclass(frozen=True)
class StoreFacts:
    """What is true of a whole store.

    Args:
        rate_hz: Sampling rate of every signal in it.
        is_simulated: Whether its recordings are simulated.
        filters: What every signal went through: ``low_hz``, ``high_hz``, ``notch_hz``.
        made_by: Hash of the parameters and the code that made every recording in it.
        format_version: How its files are laid out.
    """

    rate_hz: float
    is_simulated: bool = False
    filters: dict[str, float | None] = field(default_factory=dict)
    made_by: str = ""
    format_version: int = FORMAT_VERSION


def is_of_this_format(folder: Path) -> bool:
    """Whether this version reads a folder's store."""
    facts = json.loads((folder / STORE_FILE).read_text())
    return bool(facts["format_version"] == FORMAT_VERSION)


def write_facts(folder: Path, facts: StoreFacts) -> None:
    """Start a store, or restate its facts."""
    write_atomically(folder / STORE_FILE, json.dumps(asdict(facts)).encode())


def read_facts(folder: Path) -> StoreFacts:
    """Read what is true of the whole store.

    Raises:
        StoreError: Not a store, or one of another format version.
    """
    path = folder / STORE_FILE
    if not path.is_file():
        raise StoreError(f"{folder}: holds no signal store; make it with: kedro run --pipelines=ingest")
    facts = json.loads(path.read_text())
    if facts["format_version"] != FORMAT_VERSION:
        raise StoreError(
            f"{folder}: store format {facts['format_version']}, this version reads {FORMAT_VERSION}; "
            "make it anew with: kedro run --pipelines=ingest"
        )
    return StoreFacts(**facts)


def write_montage(folder: Path, montage: Montage) -> None:
    """Describe a montage beside its shards, once.

    Raises:
        StoreError: It is described otherwise already.
    """
    path = folder / montage.name / MONTAGE_FILE
    if path.exists():
        if read_montage(folder, montage.name) != montage:
            raise StoreError(f"{path} describes other electrodes than the recordings have; delete {folder}")
    else:
        write_atomically(path, json.dumps(montage.to_dict(), indent=1).encode())


def read_montage(folder: Path, name: str) -> Montage:
    """Read back what ``write_montage`` wrote."""
    return Montage.from_dict(json.loads((folder / name / MONTAGE_FILE).read_text()))
