"""Fetch the chosen files of a bucket into a raw folder: in parallel, verified, resumable at any moment."""

import hashlib
import logging
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from eegfm.corpora.config import CorpusConfig
from eegfm.errors import EegfmError
from eegfm.jobs.acquire.config import S3Source
from eegfm.jobs.acquire.fetched import (
    FetchedFile,
    FetchRecord,
    append_to_record,
    folder_lock,
    is_complete,
    read_record,
    write_record,
)
from eegfm.jobs.acquire.mirror import Mirror, compare
from eegfm.jobs.acquire.s3 import N_ATTEMPTS, Bucket, DamagedError, ObjectError, UnreachableError
from eegfm.jobs.acquire.selection import RemoteFile, select

_log = logging.getLogger(__name__)

_PARTS = ".eegfm_parts"
_QUEUED_PER_WORKER = 4
_N_DOWNLOADS = 3
"""Most downloads of one file. A file that arrives damaged is fetched again from its first byte."""


def fetch(source: S3Source, layout: CorpusConfig, corpus: str, folder: Path) -> None:
    """Bring the chosen files of a bucket into a folder. The bucket is listed each time; what is there stays.

    Where no server answers and the same choice is there completely, the folder is taken as it is, with a warning.

    Args:
        source: Which bucket, and what of it.
        layout: Tells recordings and subjects.
        corpus: Its name, for messages.
        folder: The raw folder; made when absent.

    Raises:
        EegfmError: The bucket cannot be listed, nothing is chosen, another process is at work, the folder holds
            files of other origin or cannot take the files, or a file did not arrive.
    """
    selection = _fingerprint(source, layout)
    dispensable = is_complete(folder, selection)
    with Bucket(source, n_attempts=1 if dispensable else N_ATTEMPTS) as bucket:
        try:
            listed = bucket.files()
        except UnreachableError as error:
            if not dispensable:
                raise
            _log.warning("%s: %s; going on with what was fetched completely before", corpus, error)
            return
        built = layout.build(corpus)
        chosen = select(listed, source, built)
        with _writable(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with folder_lock(folder):
                record = read_record(folder)
                mirror = compare(folder, record, source.url, chosen, built)
                _bring(bucket, source, record or FetchRecord(source.url, "", {}), mirror, folder, selection, corpus)


def _fingerprint(source: S3Source, layout: CorpusConfig) -> str:
    """Of everything that decides which files are chosen."""
    choice = source.model_dump_json(exclude={"anonymous", "n_parallel"})
    return hashlib.sha256(f"{choice}{layout.model_dump_json()}".encode()).hexdigest()


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """Errors of the file system in words; those of the bucket are words already."""
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        raise EegfmError(
            f"{where}: cannot be written ({error.strerror or error}); raw folder {folder} needs permission and space. "
            "What arrived stays; run again to go on"
        ) from error


def _bring(
    bucket: Bucket, source: S3Source, record: FetchRecord, mirror: Mirror, folder: Path, selection: str, corpus: str
) -> None:
    if not mirror.missing and record == FetchRecord(source.url, selection, mirror.there):
        _log.info("%s: all %d files of %s are there", corpus, len(mirror.there), source.url)
        return
    _check_space(folder, mirror.missing)
    _log.info(
        "%s: fetching %d files, %s, from %s (%d are there)",
        corpus, len(mirror.missing), _size(mirror.missing), source.url, len(mirror.there),
    )  # fmt: skip
    # Until a newer version has arrived, the record names the older one: it is still ours to replace.
    write_record(folder, FetchRecord(source.url, "", record.files), mirror.there)
    shutil.rmtree(folder / _PARTS, ignore_errors=True)
    (folder / _PARTS).mkdir()
    transfer = _Transfer(bucket, folder, mirror.missing, source.n_parallel)
    transfer.run()
    shutil.rmtree(folder / _PARTS)
    files = {**mirror.there, **transfer.arrived}
    write_record(folder, FetchRecord(source.url, selection, files), files)


def _size(files: Sequence[RemoteFile]) -> str:
    return f"{tqdm.format_sizeof(sum(f.n_bytes for f in files), suffix='B')}"


def _check_space(folder: Path, missing: Sequence[RemoteFile]) -> None:
    n_bytes, n_free = sum(f.n_bytes for f in missing), shutil.disk_usage(folder).free
    if n_bytes > n_free:
        raise EegfmError(
            f"raw folder {folder}: {len(missing)} files of {n_bytes} bytes ({_size(missing)}) are to be fetched, "
            f"{n_free} bytes are free; make room, name another folder in the catalog, or choose less by "
            "acquire.source.include, exclude or max_subjects"
        )


class _Transfer:
    """Downloads into temporary files, in threads; the calling thread alone moves what is whole into its place.

    Args:
        bucket: Where from.
        folder: The raw folder, with an empty folder for parts.
        missing: What is to be fetched.
        n_parallel: Number of threads.
    """

    def __init__(self, bucket: Bucket, folder: Path, missing: Sequence[RemoteFile], n_parallel: int) -> None:
        self.arrived: dict[str, FetchedFile] = {}
        self._bucket = bucket
        self._folder = folder
        self._missing = missing
        self._n_parallel = n_parallel
        self._failures: list[ObjectError] = []
        self._stop = threading.Event()
        self._bar_lock = threading.Lock()

    def run(self) -> None:
        """Fetch all files; one that cannot be had does not keep the others from arriving.

        Raises:
            EegfmError: The server does not answer any more, or files did not arrive.
            OSError: The folder cannot take them.
        """
        waiting = iter(enumerate(self._missing))
        running: dict[Future[FetchedFile], Path] = {}
        n_bytes = sum(f.n_bytes for f in self._missing)
        # Drawn on a terminal only, and only where there is something to wait for.
        disable = None if self._missing else True
        with (
            tqdm(total=n_bytes, desc="Fetching", unit="B", unit_scale=True, disable=disable) as bar,
            ThreadPoolExecutor(self._n_parallel, thread_name_prefix="fetch") as pool,
        ):
            try:
                while True:
                    for number, file in islice(waiting, self._n_parallel * _QUEUED_PER_WORKER - len(running)):
                        part = self._folder / _PARTS / str(number)
                        running[pool.submit(self._download, file, part, bar)] = part
                    if not running:
                        break
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    self._place([(future, running.pop(future)) for future in done])
                    bar.set_postfix_str(f"{len(self.arrived)}/{len(self._missing)} files", refresh=False)
            except BaseException:
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if self._failures:
            raise EegfmError(
                f"{len(self._failures)} of {len(self._missing)} files did not arrive: {self._failures[0]}; run again to"
                " fetch what is missing, or leave it out by acquire.source.exclude"
            )

    def _place(self, done: Sequence[tuple[Future[FetchedFile], Path]]) -> None:
        """Record what is whole, then move it into its place: a file that nobody recorded was not fetched by us.

        An older version goes first. It would be taken for the recorded one if that had its size and time.
        """
        whole = []
        for future, part in done:
            error = future.exception()
            if isinstance(error, ObjectError):
                self._failures.append(error)
            elif error is not None:
                raise error
            else:
                whole.append((future.result(), part))
        for file, _ in whole:
            (self._folder / file.path).unlink(missing_ok=True)
        append_to_record(self._folder, [file for file, _ in whole])
        for file, part in whole:
            self._move(part, self._folder / file.path)
            self.arrived[file.path] = file

    def _move(self, part: Path, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        # A rename that a power loss undoes is noticed by the file's absence: the folder needs no sync of its own.
        part.rename(place)

    def _download(self, file: RemoteFile, part: Path, bar: "tqdm[None]") -> FetchedFile:
        n_left = _N_DOWNLOADS
        while True:
            try:
                return self._download_once(file, part, bar)
            except DamagedError as error:
                n_left -= 1
                if not n_left:
                    raise
                _log.warning("%s; fetching it again", error)
                self._advance(bar, -part.stat().st_size)

    def _download_once(self, file: RemoteFile, part: Path, bar: "tqdm[None]") -> FetchedFile:
        with part.open("wb") as out:

            def write(block: bytes) -> None:
                if self._stop.is_set():
                    raise InterruptedError("another file's failure ended the transfer")
                out.write(block)
                self._advance(bar, len(block))

            md5 = self._bucket.download(file, write)
            out.flush()
            os.fsync(out.fileno())
        os.utime(part, ns=(file.mtime_ns, file.mtime_ns))
        return FetchedFile.of(file, md5)

    def _advance(self, bar: "tqdm[None]", n_bytes: int) -> None:
        with self._bar_lock:
            bar.update(n_bytes)
