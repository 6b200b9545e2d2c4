"""What is known of raw files before they are read: sizes and checksums that were published with them."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from eegfm.errors import EegfmError

SOURCE_MANIFEST = ".eegfm_source.jsonl"
"""Written by sources that fetch files: one JSON line per file that arrived whole."""
SHA256_LISTS = ("SHA256SUMS.txt", "SHA256SUMS")
_SHA256_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")
_ANNEX_KEY = re.compile(r"(SHA256|MD5)E?-s(\d+)--([0-9a-f]+)(?:\.\w+)*")


@dataclass(frozen=True)
class KnownFile:
    """A file as it was published.

    Args:
        n_bytes: Its size; -1 where unknown.
        checksum: ``"sha256:<hex>"``, ``"md5:<hex>"``, or empty where unknown.
    """

    n_bytes: int = -1
    checksum: str = ""


def read_manifest(root: Path) -> dict[str, KnownFile]:
    """Read what was published with the files of a folder.

    Sources: PhysioNet's ``SHA256SUMS.txt``, and the manifest that our own sources write.

    Returns:
        By posix path inside the folder; empty where nothing was published.

    Raises:
        EegfmError: A line of a list is not one.
    """
    known: dict[str, KnownFile] = {}
    for name in SHA256_LISTS:
        if (root / name).is_file():
            known |= _sha256_list(root / name)
    path = root / SOURCE_MANIFEST
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            known[row.pop("path")] = KnownFile(**row)
    return known


def manifest_line(path: str, known: KnownFile) -> str:
    """The line of ``SOURCE_MANIFEST`` for one file."""
    return json.dumps({"path": path, **asdict(known)}) + "\n"


def annex_key(path: Path) -> KnownFile | None:
    """Size and checksum that the name of git-annex content states; None for other files."""
    if not path.is_symlink():
        return None
    match = _ANNEX_KEY.fullmatch(path.readlink().name)
    if match is None:
        return None
    return KnownFile(n_bytes=int(match[2]), checksum=f"{match[1].lower()}:{match[3]}")


def _sha256_list(path: Path) -> dict[str, KnownFile]:
    known = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        match = _SHA256_LINE.fullmatch(line.strip())
        if match:
            known[match[2].strip().removeprefix("./")] = KnownFile(checksum=f"sha256:{match[1].lower()}")
        elif line.strip():
            raise EegfmError(f"{path}: line {number} is no SHA-256 and file name; correct it, or remove the file")
    return known
