"""Decide which stored recordings are stale, from their files, the parameters, and the code that decides samples.

The code has two kinds of hashes. One hash is for the whole store: the module of its corpus, the conversion and the
filters. One hash is for each reader: a recording is stale if the reader of its format changed.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from eegfm.corpora.base import file_version
from eegfm.jobs.ingest.config import IngestParams
from eegfm.jobs.ingest.convert import TRIED_AGAIN
from eegfm.signal.config import SignalParams
from eegfm.signal.open import FORMATS
from eegfm.source_code import code_and_packages, module_hashes, packages
from eegfm.store.layout import StoreFacts
from eegfm.store.writer import StoreWriter

_log = logging.getLogger(__name__)

IDENTITY = ("recording_id", "corpus", "path", "n_bytes", "mtime_ns", "sidecars", "published")
"""Columns of ``raw_files`` that a stored recording depends on. The others are labels."""
CONVERSION = "eegfm.jobs.ingest.convert"
READERS = ("signal.edf", "signal.eeglab", "signal.brainvision", "signal.matlab")
"""Modules of the reader of each format."""
NO_SAMPLES = (
    # Configurations count by their values.
    *("config", "corpora.config", "signal.config"),
    # Files are listed and labels are joined again at every run.
    *("named", "corpora.bids_participants", "corpora.label_join", "corpora.label_match", "corpora.label_rows"),
    *("corpora.label_table", "corpora.raw_listing", "corpora.side_files"),
    # Writing of bytes to disk, and handling of memory.
    *("files", "jobs.ingest.memory"),
)
"""Modules that a conversion imports, and that do not affect stored data."""
NO_SAMPLES_PACKAGES = frozenset({"google_crc32c", "pandas", "pydantic"})
"""Other packages that do not affect stored data: a standard checksum, the listing, and the check of parameters."""

version = cache(metadata.version)
"""Version of an installed package. It is read from a file, and asked for a dozen times by every ingestion."""


def store_facts(params: IngestParams, signal: SignalParams, *, simulated: bool, root: Path = Path()) -> StoreFacts:
    """Facts that a whole store depends on. If one changes, every recording is stale.

    Args:
        params: Parameters of ingestion.
        signal: Rate and filters.
        simulated: Whether the recordings are simulated.
        root: The raw folder.
    """
    parameters = params.identity()
    parameters["corpus"] = params.corpus.model_dump(mode="json", exclude=set(params.corpus.listing))
    module = params.corpus.implementation.partition(":")[0]
    code = store_code(module)
    made_by = json.dumps([parameters, signal.identity(), code])
    filters = {"low_hz": signal.low_hz, "high_hz": signal.high_hz, "notch_hz": signal.notch_hz}
    return StoreFacts(
        rate_hz=signal.rate_hz,
        is_simulated=simulated,
        filters=filters,
        made_by=hashlib.sha256(made_by.encode()).hexdigest(),
        made_from={"parameters": _flat({"ingest": parameters, "signal": signal.identity()}), **_code_parts(module)},
        raw_folder="" if root == Path() else str(root.resolve()),
    )


def _flat(parameters: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Parameters by dotted name. An empty table has none."""
    flat: dict[str, Any] = {}
    for name, value in parameters.items():
        flat |= _flat(value, f"{above}{name}.") if isinstance(value, Mapping) else {f"{above}{name}": value}
    return flat


def _code_parts(corpus: str) -> dict[str, dict[str, Any]]:
    """Hash of each module and version of each library that ``store_code`` is made of."""
    roots, without = (corpus, CONVERSION), (*NO_SAMPLES, *READERS)
    libraries = {name: version(name) for name in _counting(packages(*roots, without=without))}
    return {"code": module_hashes(*roots, without=without), "libraries": libraries}


def file_key(row: Mapping[Any, Any]) -> str:
    """Identity of one recording inside its store: its file, its side files, and their published checksums."""
    return hashlib.sha256(repr([str(row[name]) for name in IDENTITY]).encode()).hexdigest()


def fresh_keys(writer: StoreWriter, root: Path, readers: Mapping[str, str]) -> dict[str, str]:
    """Keys of the recordings and rejections that are not stale. The caller compares the keys with the rows of files.

    Three kinds are stale: rejections whose reason may be gone, entries with a changed file that only their header
    names, and entries from a reader whose code changed.

    Args:
        writer: The open store.
        root: The raw folder.
        readers: Present result of ``reader_codes``.
    """
    fresh = {i: key for i, key in writer.keys.items() if writer.rejection_codes.get(i) not in TRIED_AGAIN}
    for recording_id, versions in writer.named_files.items():
        if any(file_version(root / path) != found for path, found in versions.items()):
            fresh.pop(recording_id, None)
    reread = [i for i, codes in writer.readers.items() if any(readers.get(name) != codes[name] for name in codes)]
    if reread:
        _log.warning("%s: %d recordings were read by a reader that changed, e.g. %s", root, len(reread), reread[0])
    for recording_id in reread:
        fresh.pop(recording_id, None)
    return fresh


def store_code(corpus: str) -> str:
    """Hash of the code, and of its libraries, that all recordings of one layout depend on.

    Args:
        corpus: Module of the layout.
    """
    return _code(corpus, CONVERSION, without=(*NO_SAMPLES, *READERS))


def reader_codes() -> dict[str, str]:
    """Hash of the reader of each format, and of its libraries."""
    return {name: _code(f"eegfm.signal.{name}.reader", without=NO_SAMPLES) for name in FORMATS}


def _code(*roots: str, without: tuple[str, ...]) -> str:
    code, imported = code_and_packages(*roots, without=without)
    libraries = [f"{name}=={version(name)}" for name in _counting(imported)]
    return hashlib.sha256(json.dumps([code, libraries]).encode()).hexdigest()[:16]


def _counting(names: list[str]) -> list[str]:
    """Other packages whose versions count."""
    return [name for name in names if name not in NO_SAMPLES_PACKAGES]
