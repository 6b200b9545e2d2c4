"""Hashes of the contents of a store: one per recording, and one of the whole store.

The hashes rest on the index (checksums of the samples, scales, electrodes), never on the place or time of writing.
Stores with equal contents therefore have equal hashes. The writer writes the hashes of all recordings into a file
beside the index, because reading an index of seventy thousand recordings takes seconds.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np

from eegfm.errors import StoreError
from eegfm.files import write_atomically
from eegfm.store.addresses import index_state
from eegfm.store.index import RecordingEntry, read_index
from eegfm.store.layout import read_facts

CONTENTS_FILE = "contents.txt"
_PLACE = ("key", "shard", "first_row", "facts", "events", "named", "readers", "content")
"""Fields of an entry that are independent of its signal: its place, its source, and its rows of tables."""
_SCALES = "scales_uv"
_SIGNAL = [field.name for field in fields(RecordingEntry) if field.name not in (*_PLACE, _SCALES)]
_HASHED = " ".join([*_SIGNAL, _SCALES])


@dataclass(frozen=True)
class Contents:
    """Hashes of a store.

    Args:
        recordings: Hash of each signal, by recording id in alphabetical order.
        common: Hash of the facts about all recordings: rate, filters, whether they are simulated. The name of a montage
            is part of each recording's hash and follows from the electrodes.
    """

    recordings: Mapping[str, str]
    common: str

    @cached_property
    def sha256(self) -> str:
        """Hash of the whole store."""
        return self.sha256_of(self.recordings)

    def sha256_of(self, recording_ids: Iterable[str]) -> str:
        """Hash of some recordings, whatever their order.

        Raises:
            StoreError: A recording is not in the store.
        """
        names = sorted(set(recording_ids))
        missing = [name for name in names if name not in self.recordings]
        if missing:
            raise StoreError(f"recording {missing[0]} is not in the store; ingest it again")
        lines = "".join(f"{self.recordings[name]} {name}\n" for name in names)
        return hashlib.sha256(f"{self.common}\n{lines}".encode()).hexdigest()


def read_contents(folder: Path) -> Contents:
    """Read the hashes, or compute them from the index if the file does not fit the present index."""
    recordings = _read(folder)
    return Contents(_hashed(folder) if recordings is None else recordings, _common(folder))


def write_contents(folder: Path) -> None:
    """Write the hashes beside the index, unless they exist already."""
    state = index_state(folder)
    if state is None or _read(folder) is not None:
        return
    lines = "".join(f"{value} {name}\n" for name, value in _hashed(folder).items())
    seal = hashlib.sha256(lines.encode()).hexdigest()
    write_atomically(folder / CONTENTS_FILE, f"{seal} {state.decode()}, {_HASHED}\n{lines}".encode())


def _read(folder: Path) -> dict[str, str] | None:
    path, state = folder / CONTENTS_FILE, index_state(folder)
    if state is None or not path.is_file():
        return None
    head, _, lines = path.read_bytes().partition(b"\n")
    if head.decode(errors="replace") != f"{hashlib.sha256(lines).hexdigest()} {state.decode()}, {_HASHED}":
        return None
    pairs = (line.split(" ", 1) for line in lines.decode().splitlines())
    return {name: value for value, name in pairs}


def _hashed(folder: Path) -> dict[str, str]:
    entries = (entry for entry in read_index(folder).values() if isinstance(entry, RecordingEntry))
    return dict(sorted((entry.recording_id, _signal_hash(entry)) for entry in entries))


def _signal_hash(entry: RecordingEntry) -> str:
    said = json.dumps({name: getattr(entry, name) for name in _SIGNAL}).encode()
    # Hash the numbers as a reader gets them. Hashing them as text would take five times as long.
    return hashlib.sha256(said + np.asarray(entry.scales_uv, dtype="<f4").tobytes()).hexdigest()[:32]


def _common(folder: Path) -> str:
    facts = asdict(read_facts(folder))
    kept = {name: facts[name] for name in ("rate_hz", "is_simulated", "filters")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
