"""Record of a fetching source in its raw folder: the fetched files, whether they are complete, and a lock.

The record ``.eegfm_s3.jsonl`` says which version of each object arrived: a header line, then one line per file, whole
but for a last line that an interrupted run may have left. A file is believed if the record names its version and the
file has the recorded size and time, or the recorded MD5. No other file is. The line comes before the file takes its
place, so that after an interruption at any moment a file without a line was not fetched. ``.eegfm_source.jsonl`` tells
readers the same in the form that all sources share.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from eegfm.corpora.manifest import SOURCE_MANIFEST, KnownFile, manifest_line
from eegfm.corpora.side_file_limits import is_there
from eegfm.errors import EegfmError
from eegfm.files import exclusive, write_atomically
from eegfm.jobs.acquire.selection import OWN_PREFIX, RemoteFile
from eegfm.json_text import parse_json

RECORD = ".eegfm_s3.jsonl"
_LOCK = ".eegfm_lock"
_VERSION = 1


@dataclass(frozen=True)
class FetchedFile:
    """One file that arrived.

    Args:
        path: Posix path inside the raw folder.
        n_bytes: Its size.
        etag: Version of the object that it was.
        mtime_ns: When that was last written.
        md5: Of the bytes that arrived.
    """

    path: str
    n_bytes: int
    etag: str
    mtime_ns: int
    md5: str

    @classmethod
    def of(cls, file: RemoteFile, md5: str) -> "FetchedFile":
        """A file as it was listed and arrived."""
        return cls(file.path, file.n_bytes, file.etag, file.mtime_ns, md5)

    def is_version_of(self, file: RemoteFile) -> bool:
        """True if the object is still the one that arrived."""
        return (self.path, self.n_bytes, self.etag) == (file.path, file.n_bytes, file.etag)

    def is_at(self, place: Path) -> bool:
        """True if the file lies at a place unchanged. One that was copied without its time gets that back."""
        if not _is_regular(place) or place.stat().st_size != self.n_bytes:
            return False
        if place.stat().st_mtime_ns != self.mtime_ns:
            if md5_of(place) != self.md5:
                return False
            os.utime(place, ns=(self.mtime_ns, self.mtime_ns))
        return True


@dataclass(frozen=True)
class FetchRecord:
    """Record of the source that filled a raw folder.

    Args:
        url: Bucket and prefix.
        selection: Fingerprint of the choice that is there completely; empty while it is not.
        files: What arrived, by path.
    """

    url: str
    selection: str
    files: Mapping[str, FetchedFile]


def read_record(folder: Path) -> FetchRecord | None:
    """Read the record of a raw folder; None where no source fetched anything.

    Raises:
        EegfmError: It is damaged, or of another version.
    """
    path = folder / RECORD
    if not is_there(path):
        return None
    lines = path.read_bytes().split(b"\n")[:-1]  # behind the last newline stands nothing, or half a line
    try:
        head, *rows = [parse_json(line) for line in lines]
        if head["version"] != _VERSION:
            raise ValueError(f"version {head['version']}, this program writes {_VERSION}")
        url, selection = _text(head["url"]), _text(head["selection"])
        files = [_checked(row) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise EegfmError(
            f"{path} is not a record of fetched files ({error}); fetch into another folder, or remove the record and "
            "set acquire.source.name: folder to take the files as they are"
        ) from error
    return FetchRecord(url, selection, {file.path: file for file in files})


def _checked(row: Any) -> FetchedFile:
    """Check a line of the record. Whoever filled the folder may have written it: no path in it leads out of the folder.

    Raises:
        ValueError: A value is of another kind, or the path is none inside a folder.
    """
    file = FetchedFile(**row)
    _text(file.path), _text(file.etag), _text(file.md5)
    if type(file.n_bytes) is not int or type(file.mtime_ns) is not int or file.n_bytes < 0:
        raise ValueError(f"sizes and times of {file.path[:80]!r} are no whole numbers")
    parts = file.path.split("/")
    if parts[0].startswith(OWN_PREFIX) or any(p in {"", ".", ".."} or "\\" in p or "\0" in p for p in parts):
        raise ValueError(f"{file.path[:80]!r} is no path inside the folder")
    return file


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{str(value)[:80]!r} is no text")
    return value


def write_record(folder: Path, record: FetchRecord, published: Iterable[str]) -> None:
    """Write the record and the manifest whole.

    Args:
        folder: The raw folder.
        record: The files that were fetched, older versions included.
        published: Paths of those that the manifest names to readers.
    """
    known = [record.files[path] for path in sorted(published)]
    lines = [manifest_line(f.path, KnownFile(n_bytes=f.n_bytes, checksum=f"md5:{f.md5}")) for f in known]
    head = {"version": _VERSION, "url": record.url, "selection": record.selection}
    rows = [head, *(asdict(file) for file in record.files.values())]
    # The manifest comes first: a selection counts as complete only when readers see it, too.
    write_atomically(folder / SOURCE_MANIFEST, "".join(lines).encode())
    write_atomically(folder / RECORD, "".join(f"{json.dumps(row)}\n" for row in rows).encode())


def append_to_record(folder: Path, files: Iterable[FetchedFile]) -> None:
    """Add files that are about to take their places."""
    with (folder / RECORD).open("ab") as out:
        out.write("".join(f"{json.dumps(asdict(file))}\n" for file in files).encode())
        out.flush()
        os.fsync(out.fileno())


def check_complete(folder: Path) -> None:
    """Refuse a raw folder that a source has begun to fill and not finished.

    Raises:
        EegfmError: It is one.
    """
    record = read_record(folder)
    if record is not None and not record.selection:
        raise EegfmError(
            f"raw folder {folder}: fetching from {record.url} was not finished; run once more with the source s3, or "
            f"remove {RECORD} there to take the folder as it is"
        )


def is_complete(folder: Path, selection: str) -> bool:
    """True if all files of a selection were fetched and still have their sizes; no bucket is asked."""
    record = read_record(folder)
    if record is None or record.selection != selection:
        return False
    return all(
        _is_regular(folder / path)
        and not any((folder / above).is_symlink() for above in PurePosixPath(path).parents if above.name)
        and (folder / path).stat().st_size == file.n_bytes
        for path, file in record.files.items()
    )


def folder_lock(folder: Path) -> AbstractContextManager[None]:
    """Keep other processes from filling a folder.

    Raises:
        EegfmError: Another process does.
    """
    return exclusive(
        folder / _LOCK,
        lambda who: EegfmError(f"{folder}: {who} is fetching into this folder; wait for it or end it"),
    )


def _is_regular(place: Path) -> bool:
    """True if a file lies at a place, and no link, folder or device."""
    return place.exists() and stat.S_ISREG(place.lstat().st_mode)


def md5_of(place: Path) -> str:
    """MD5 of a file, as hexadecimal text."""
    with place.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
