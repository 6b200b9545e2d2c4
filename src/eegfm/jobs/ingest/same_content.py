"""Recognise files whose times changed and whose contents did not: copies, clones, moved folders, touched files.

A comparison costs one read of the files, which is far less than a conversion.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import xxhash

from eegfm.corpora.base import Corpus, file_version, side_file_versions
from eegfm.jobs.ingest.convert import TRIED_AGAIN, Task
from eegfm.store.writer import StoreWriter

_CHUNK_BYTES = 1 << 20


def unchanged(tasks: Sequence[Task], n_threads: int = 4) -> Iterator[Task]:
    """Tasks whose stored recording was made from files of the same contents. Their files are read.

    Args:
        tasks: Recordings to convert, with the content of the stored recording where it is known.
        n_threads: Files that are read at once.
    """
    known = [task for task in tasks if task.stored_content]
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="compare")
    try:
        for task, same in zip(known, pool.map(_is_unchanged, known), strict=True):
            if same:
                yield task
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _is_unchanged(task: Task) -> bool:
    try:
        return content_of(task, task.stored_named, task.stored_content) == task.stored_content
    except OSError:
        return False  # the conversion says what cannot be read


def content_of(task: Task, named: Iterable[str], expected: str = "") -> str:
    """Bytes and hash of the contents of all files that a recording is made from, without their times.

    Args:
        task: The recording.
        named: Paths of further files that only its header names.
        expected: A content to compare with: nothing is read where the bytes differ in number.

    Returns:
        The content; empty if a file is not as it was listed.

    Raises:
        OSError: A file cannot be read.
    """
    root, own = task.root, str(task.row["path"])
    corpus = task.params.corpus.build(str(task.row["corpus"]))
    if _listed(corpus, root, own) != task.row["sidecars"]:
        return ""
    recordings = (own, *corpus.other_parts(root, own))
    side_files = (path for recording in recordings for path in corpus.sidecars(recording))
    paths = sorted(path for path in {*recordings, *side_files, *named} if (root / path).is_file())
    n_bytes = sum((root / path).stat().st_size for path in paths)
    if expected and not expected.startswith(f"{n_bytes}:"):
        return ""
    digest = xxhash.xxh3_128(repr([task.row[name] for name in ("recording_id", "corpus", "published")]).encode())
    for path in paths:
        digest.update(f"\n{path} {(root / path).stat().st_size}\n".encode())
        _add_file(digest, root / path)
    if not _is_as_listed(task) or _listed(corpus, root, own) != task.row["sidecars"]:
        return ""
    return f"{n_bytes}:{digest.hexdigest()}"


def _listed(corpus: Corpus, root: Path, path: str) -> str:
    """Column ``sidecars`` of ``raw_files`` as the files are now; see ``eegfm.corpora.bids_parts.with_parts``."""
    versions = [side_file_versions(root, corpus.sidecars(path))]
    for part in corpus.other_parts(root, path):
        versions.append(f"{part}:{file_version(root / part)}:{side_file_versions(root, corpus.sidecars(part))}")
    return ";".join(versions)


def _add_file(digest: "xxhash.xxh3_128", path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)


def _is_as_listed(task: Task) -> bool:
    stat = task.path.stat()
    return (stat.st_size, stat.st_mtime_ns) == (task.row["n_bytes"], task.row["mtime_ns"])


def comparable(writer: StoreWriter, readers: Mapping[str, str]) -> dict[str, str]:
    """Contents of the recordings and rejections that a comparison can keep, by recording id.

    Args:
        writer: The open store.
        readers: Present versions of the readers. What another version read is converted again.
    """
    codes, of_entry = writer.rejection_codes, writer.readers
    contents = writer.contents
    kept = (i for i in contents if codes.get(i) not in TRIED_AGAIN)
    return {i: contents[i] for i in kept if all(readers.get(name) == code for name, code in of_entry[i].items())}
