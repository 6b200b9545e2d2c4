"""Manifest of a raw folder: the published size and checksum of each file."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eegfm.corpora.side_file_limits import check_bytes, is_there
from eegfm.corpora.text_files import decode_file
from eegfm.errors import EegfmError, RecordingError
from eegfm.json_text import parse_json
from eegfm.signal.pointers import refuse_pointer

SOURCE_MANIFEST = ".eegfm_source.jsonl"
"""File that fetching sources write: one JSON line per completely fetched file."""
SHA256_LISTS = ("SHA256SUMS.txt", "SHA256SUMS")
_SHA256_LINE = re.compile(r"([0-9a-fA-F]{64})\s+\*?(.+)")
_CHECKSUM = re.compile(r"(?:(?:sha256|md5):[0-9A-Za-z]+)?")
MAX_LIST_BYTES = 512 << 20
"""A list of a million files has a third of it."""
_ANNEX_KEY = re.compile(r"(SHA256|MD5)E?-s(\d+)--([0-9a-f]+)(?:\.\w+)*")


@dataclass(frozen=True)
class KnownFile:
    """Published size and checksum of a file.

    Args:
        n_bytes: Size in bytes; -1 if unknown.
        checksum: ``"sha256:<hex>"``, ``"md5:<hex>"``, or empty if unknown.
    """

    n_bytes: int = -1
    checksum: str = ""


def read_manifest(root: Path) -> dict[str, KnownFile]:
    """Read the published sizes and checksums of a folder's files.

    Sources are PhysioNet's ``SHA256SUMS.txt`` and, for other files, the manifest that our own sources write.

    Returns:
        Published facts by posix path inside the folder; empty if nothing was published.

    Raises:
        EegfmError: A line of a list cannot be parsed.
    """
    known: dict[str, KnownFile] = {}
    path = root / SOURCE_MANIFEST
    if is_there(path):
        try:
            check_bytes(path, MAX_LIST_BYTES)
            known |= published_files(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise EegfmError(f"{path}: is no list of fetched files ({error}); fetch again, or remove it") from error
    for name in SHA256_LISTS:
        if is_there(root / name):
            known |= _sha256_list(root / name)
    return known


def manifest_line(path: str, known: KnownFile) -> str:
    """The line of ``SOURCE_MANIFEST`` for one file."""
    return json.dumps({"path": path, **asdict(known)}) + "\n"


def published_text(known: Mapping[str, KnownFile]) -> str:
    """Text of column ``published`` of ``raw_files``: published facts about all files of a recording."""
    return "".join(manifest_line(path, file) for path, file in known.items())


def published_files(text: str) -> dict[str, KnownFile]:
    """Inverse of ``published_text``: published facts by posix path inside the raw folder.

    Raises:
        ValueError: A line is none that ``manifest_line`` writes.
    """
    known = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            path, file = _line(number, parse_json(line))
            known[path] = file
    return known


def _line(number: int, row: Any) -> tuple[str, KnownFile]:
    """Check one line. A path counts only where it is that of a listed file, so it may be any text."""
    if not isinstance(row, dict) or row.keys() != {"path", "n_bytes", "checksum"}:
        raise ValueError(f"line {number} has not the keys path, n_bytes and checksum")
    path, n_bytes, checksum = row["path"], row["n_bytes"], row["checksum"]
    if not isinstance(path, str) or type(n_bytes) is not int:
        raise ValueError(f"line {number}: path is no text, or n_bytes no whole number")
    if not isinstance(checksum, str) or not _CHECKSUM.fullmatch(checksum):
        raise ValueError(f"line {number}: checksum is none of sha256:…, md5:… and nothing")
    return path, KnownFile(n_bytes, checksum)


def check_published(root: Path, text: str) -> None:
    """Compare files with their published sizes and checksums.

    Args:
        root: The raw folder.
        text: Column ``published`` of ``raw_files``.

    Raises:
        RecordingError: A file has another size (``size_mismatch``) or another checksum (``checksum_mismatch``), or was
            not fetched (``not_fetched``).
    """
    for path, known in published_files(text).items():
        if not (root / path).is_file():
            continue  # reading the file raises the error
        refuse_pointer(root / path)
        found = (root / path).stat().st_size
        if known.n_bytes not in (-1, found):
            raise RecordingError(
                "size_mismatch", f"{path}: {found} bytes, published with {known.n_bytes}", "fetch the file again"
            )
        kind, _, digest = known.checksum.partition(":")
        if kind and _checksum(root / path, kind) != digest:
            raise RecordingError(
                "checksum_mismatch",
                f"{path}: its {kind.upper()} is not the one that was published with it",
                "fetch the file again; if it was changed on purpose, remove its line from the list of checksums",
            )


def _checksum(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def annex_key(path: Path) -> KnownFile | None:
    """Size and checksum from the name of git-annex content; None for other files."""
    try:
        match = _ANNEX_KEY.fullmatch(path.readlink().name)
    except OSError:  # no link, or not readable, which conversion says
        return None
    if match is None:
        return None
    return KnownFile(n_bytes=int(match[2]), checksum=f"{match[1].lower()}:{match[3]}")


def _sha256_list(path: Path) -> dict[str, KnownFile]:
    known = {}
    # Names that are not UTF-8 are kept as the system gives them. Other damage matches no line.
    try:
        text = decode_file(path, keeps_bytes=True, max_bytes=MAX_LIST_BYTES).text
    except ValueError as error:
        raise EegfmError(f"{path}: {error}; correct it, or remove the file") from error
    for number, line in enumerate(text.splitlines(), start=1):
        match = _SHA256_LINE.fullmatch(line.strip())
        if match:
            known[match[2].strip().removeprefix("./")] = KnownFile(checksum=f"sha256:{match[1].lower()}")
        elif line.strip():
            raise EegfmError(f"{path}: line {number} is no SHA-256 and file name; correct it, or remove the file")
    return known
