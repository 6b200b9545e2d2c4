"""A raw folder becomes what is chosen of a bucket, whatever happens on the way."""

import errno
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

import eegfm.jobs.acquire.fetch
import eegfm.jobs.acquire.s3
from edf_files import write_tones
from eegfm.corpora.config import EdfFolderCorpus
from eegfm.corpora.manifest import KnownFile, read_manifest
from eegfm.errors import EegfmError
from eegfm.jobs.acquire.config import S3Source
from eegfm.jobs.acquire.fetch import _Transfer, fetch
from eegfm.jobs.acquire.fetched import RECORD, md5_of, read_record
from eegfm.jobs.acquire.s3 import Bucket, UnreachableError
from kedro_project import PROJECT_ROOT
from s3_server import S3Server, tree
from warm_process import Forked, WarmProcess

LAYOUT = EdfFolderCorpus(pattern="{subject}/{run}.edf")
FILES = {f"{s}/{r}.edf": f"{s}{r}".encode() * 20_000 for s in "abc" for r in "12"} | {
    "table.tsv": b"id\n",
    "a/x.txt": b"",
}
_numbers = count()

FETCH = """
import sys
from pathlib import Path
from eegfm.corpora.config import EdfFolderCorpus
from eegfm.jobs.acquire.config import AcquireParams
from eegfm.jobs.acquire.acquire import acquire
from eegfm.stopping import stoppable
layout = EdfFolderCorpus(pattern="{subject}/{run}.edf")
with stoppable():
    acquire(AcquireParams.model_validate_json(sys.argv[1]), "mine", Path(sys.argv[2]), layout)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture(autouse=True)
def _clean(server: S3Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    server.reset()
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setattr(eegfm.jobs.acquire.s3, "_FIRST_PAUSE_S", 0.001)
    caplog.set_level(logging.INFO, logger="eegfm")


@pytest.fixture
def bucket(server: S3Server) -> str:
    """A bucket of its own, with the same small data set."""
    name = f"bucket{next(_numbers)}"
    server.put(name, {f"set/{path}": content for path, content in FILES.items()})
    return name


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / "data" / "raw"


def source(server: S3Server, bucket: str, **options: Any) -> S3Source:
    return S3Source(url=f"s3://{bucket}/set", endpoint_url=server.url, **options)


def contents(folder: Path) -> dict[str, bytes]:
    return {path: content for path, (content, _) in tree(folder).items()}


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith("eegfm")]


def check_record(folder: Path) -> None:
    """A file that the record names is the recorded one, or is not there."""
    record = read_record(folder)
    assert record is not None
    for file in record.files.values():
        assert not (folder / file.path).exists() or md5_of(folder / file.path) == file.md5


Start = Callable[[S3Source, Path], Forked]


@pytest.fixture
def start(warm: WarmProcess, tmp_path: Path) -> Iterator[Start]:
    """Starts processes that fetch, and ends what a failed test leaves of them."""
    started = []

    def run(source: S3Source, folder: Path) -> Forked:
        args = ["-c", f'{{"source": {source.model_dump_json()}}}', str(folder)]
        started.append(warm.start(FETCH, args, tmp_path / "out", tmp_path / "err", os.environ))
        return started[-1]

    yield run
    for process in started:
        process.send_signal(signal.SIGKILL)
        process.wait()


def wait_for(condition: Any, timeout_s: float = 20) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_every_file_arrives_with_its_time_and_checksum(
    server: S3Server, bucket: str, raw: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    fetch(source(server, bucket), LAYOUT, "mine", raw)
    assert contents(raw) == FILES
    for row in server.client.list_objects_v2(Bucket=bucket)["Contents"]:
        place = raw / row["Key"].removeprefix("set/")
        assert place.stat().st_mtime_ns == int(row["LastModified"].timestamp()) * 10**9
    assert read_manifest(raw) == {p: KnownFile(len(c), f"md5:{md5_of(raw / p)}") for p, c in FILES.items()}
    assert sorted(p.name for p in raw.iterdir() if p.name.startswith(".")) == sorted(
        {".eegfm_s3.jsonl", ".eegfm_source.jsonl", ".eegfm_lock.owner"} | {p.name for p in raw.glob(".eegfm_lock")}
    ), "no part is left"
    assert capsys.readouterr().err == "", "no bar where nobody looks"
    assert messages(caplog) == [f"mine: fetching 8 files, 240kB, from s3://{bucket}/set (0 are there)"]


def test_nothing_is_fetched_or_written_twice(server: S3Server, bucket: str, raw: Path) -> None:
    fetch(source(server, bucket), LAYOUT, "mine", raw)
    stamps = {p: p.stat().st_mtime_ns for p in raw.rglob("*") if p.is_file() and "lock" not in p.name}
    server.reset()
    fetch(source(server, bucket), LAYOUT, "mine", raw)
    assert server.downloads() == []
    assert len(server.requests) == 1, "the bucket is listed"
    assert {p: p.stat().st_mtime_ns for p in raw.rglob("*") if p.is_file() and "lock" not in p.name} == stamps


def test_bytes_are_on_the_disk_before_a_file_has_its_name(
    server: S3Server, bucket: str, raw: Path, monkeypatch: Any
) -> None:
    synced, fsync = set(), os.fsync

    def noted(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    fetch(source(server, bucket), LAYOUT, "mine", raw)
    assert {(raw / path).stat().st_ino for path in FILES} <= synced


def test_files_arrive_in_parallel(server: S3Server, bucket: str, raw: Path) -> None:
    server.fault = lambda path, n_before: "slow" if path.endswith(".edf") else ""
    fetch(source(server, bucket, n_parallel=4), LAYOUT, "mine", raw)
    assert server.n_at_once == 4
    server.reset()
    server.fault = lambda path, n_before: "slow" if path.endswith(".edf") else ""
    fetch(source(server, bucket, n_parallel=1, max_subjects=1), LAYOUT, "mine", raw.with_name("other"))
    assert server.n_at_once == 1


def test_wider_choice_fetches_what_is_missing(server: S3Server, bucket: str, raw: Path) -> None:
    fetch(source(server, bucket, max_subjects=2), LAYOUT, "mine", raw)
    assert contents(raw) == {p: c for p, c in FILES.items() if p[0] in "abt"}
    server.reset()
    fetch(source(server, bucket, max_subjects=3), LAYOUT, "mine", raw)
    assert contents(raw) == FILES
    assert sorted(server.downloads()) == ["set/c/1.edf", "set/c/2.edf"]
    assert sorted(read_manifest(raw)) == sorted(FILES)


def test_narrower_choice_reads_nothing_along(server: S3Server, bucket: str, raw: Path) -> None:
    fetch(source(server, bucket), LAYOUT, "mine", raw)
    before = tree(raw)
    narrow = source(server, bucket, max_subjects=2)
    with pytest.raises(EegfmError, match=r"holds 2 files that acquire\.source does not choose .*, e\.g\. c/1\.edf"):
        fetch(narrow, LAYOUT, "mine", raw)
    assert tree(raw) == before
    (raw / "c").rename(raw.with_name("c"))
    server.reset()
    fetch(narrow, LAYOUT, "mine", raw)
    assert server.downloads() == []
    assert sorted(read_manifest(raw)) == sorted(contents(raw)), "only what is chosen is published"


def test_changed_new_and_removed_objects(server: S3Server, bucket: str, raw: Path, caplog: Any) -> None:
    fetch(source(server, bucket), LAYOUT, "mine", raw)
    server.put(bucket, {"set/a/1.edf": b"another"})
    server.reset()
    fetch(source(server, bucket), LAYOUT, "mine", raw)
    assert contents(raw) == FILES | {"a/1.edf": b"another"}
    assert server.downloads() == ["set/a/1.edf"]
    assert "1 objects changed and are fetched again, e.g. a/1.edf" in caplog.text
    assert read_manifest(raw)["a/1.edf"].n_bytes == 7
    server.put(bucket, {"set/e/1.edf": b"new"})
    server.reset()
    fetch(source(server, bucket), LAYOUT, "mine", raw)
    assert server.downloads() == ["set/e/1.edf"]
    server.client.delete_object(Bucket=bucket, Key="set/e/1.edf")
    with pytest.raises(EegfmError, match=r"holds 1 files that acquire\.source does not choose .*, e\.g\. e/1\.edf"):
        fetch(source(server, bucket), LAYOUT, "mine", raw)
    (raw / "e/1.edf").unlink()
    fetch(source(server, bucket), LAYOUT, "mine", raw)
    assert sorted(read_manifest(raw)) == sorted(contents(raw)), "what is gone is not published, with nothing to fetch"
    record = read_record(raw)
    assert record is not None
    assert sorted(record.files) == sorted(contents(raw)), "without network the folder is complete without it"


def test_file_that_was_changed_here_stays_and_is_named(server: S3Server, bucket: str, raw: Path) -> None:
    fetch(source(server, bucket), LAYOUT, "mine", raw)
    (raw / "table.tsv").write_bytes(b"id\nmine")
    server.reset()
    with pytest.raises(
        EegfmError, match=r"1 files that are not as they were fetched .*, e\.g\. table\.tsv; nothing is"
    ):
        fetch(source(server, bucket), LAYOUT, "mine", raw)
    assert (raw / "table.tsv").read_bytes() == b"id\nmine"
    assert server.downloads() == []
    (raw / "table.tsv").unlink()
    fetch(source(server, bucket), LAYOUT, "mine", raw)
    assert contents(raw) == FILES


def test_while_files_arrive_the_manifest_claims_nothing_of_them(server: S3Server, bucket: str, raw: Path) -> None:
    """A reader that comes after an interruption must not hold a new file against the old checksum."""
    fetch(source(server, bucket), LAYOUT, "mine", raw)
    server.put(bucket, {"set/a/1.edf": b"another", "set/a/2.edf": b"other"})
    server.fault = lambda path, n_before: "deny" if path.endswith("a/2.edf") else ""
    with pytest.raises(EegfmError, match=r"1 of 2 files did not arrive: .*/a/2\.edf: access denied .*; run again"):
        fetch(source(server, bucket), LAYOUT, "mine", raw)
    assert (raw / "a/1.edf").read_bytes() == b"another", "one file that fails does not keep others away"
    assert sorted(set(FILES) - read_manifest(raw).keys()) == ["a/1.edf", "a/2.edf"]
    record = read_record(raw)
    assert record is not None
    assert record.selection == ""
    server.reset()
    fetch(source(server, bucket), LAYOUT, "mine", raw)
    assert server.downloads() == ["set/a/2.edf"]


def test_damage_on_the_way_is_fetched_again(server: S3Server, bucket: str, raw: Path, caplog: Any) -> None:
    server.fault = lambda path, n_before: "flip" if path.endswith("b/2.edf") and n_before < 2 else ""
    fetch(source(server, bucket), LAYOUT, "mine", raw)
    assert contents(raw) == FILES
    assert caplog.text.count("damaged on its way") == 2
    server.put(bucket, {"set/c/1.edf": b"changed"})
    server.fault = lambda path, n_before: "flip" if path.endswith("c/1.edf") else ""
    with pytest.raises(EegfmError, match=r"1 of 1 files did not arrive: .*c/1\.edf: damaged on its way"):
        fetch(source(server, bucket), LAYOUT, "mine", raw)
    assert contents(raw) == FILES, "the older version stays in its place"


def test_kill_at_any_time_and_run_again(server: S3Server, bucket: str, tmp_path: Path, start: Start) -> None:
    server.put_in_parts(bucket, "set/d/4.edf", [b"q" * 9000])
    server.put_in_parts(bucket, "set/a/0.edf", [b"r" * 9000])
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    fetch(source(server, bucket), LAYOUT, "mine", whole)
    server.fault = lambda path, n_before: "slow" if path[-5] in "12" else ""
    for n_there in (0, 2, 5):
        process = start(source(server, bucket, n_parallel=2), killed)
        wait_for(lambda n=n_there: (killed / ".eegfm_parts").exists() and len(tree(killed)) >= n)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        there = {path: tree(whole)[path] for path in tree(killed)}
        assert tree(killed) == there, "what is in its place is whole"
        check_record(killed)
    server.reset()
    fetch(source(server, bucket), LAYOUT, "mine", killed)
    assert tree(killed) == tree(whole)
    assert read_manifest(killed) == read_manifest(whole)
    assert read_record(killed) == read_record(whole)
    again, absent = server.downloads(), {f"set/{path}" for path in tree(whole).keys() - there.keys()}
    assert absent <= set(again)
    assert len(again) <= len(absent) + 2, "a kill can fall between a file and its record: one of each parallel transfer"
    assert not (killed / ".eegfm_parts").exists()


def test_kill_between_record_and_file(server: S3Server, bucket: str, raw: Path, monkeypatch: Any) -> None:
    """The line is written and the file is not in its place: the next run fetches it, also over an older version."""
    fetch(source(server, bucket), LAYOUT, "mine", raw)
    server.put(bucket, {"set/a/1.edf": FILES["a/1.edf"][::-1], "set/e/9.edf": b"new"})

    def no_rename(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_Transfer, "_move", no_rename)
    with pytest.raises(KeyboardInterrupt):
        fetch(source(server, bucket), LAYOUT, "mine", raw)
    monkeypatch.undo()
    check_record(raw)
    assert len((raw / RECORD).read_text().splitlines()) > 1 + len(FILES), "lines were added"
    fetch(source(server, bucket), LAYOUT, "mine", raw)  # and takes no file of ours for somebody else's
    assert contents(raw) == FILES | {"a/1.edf": FILES["a/1.edf"][::-1], "e/9.edf": b"new"}


def test_a_signal_ends_the_transfer_in_one_line(
    server: S3Server, bucket: str, raw: Path, tmp_path: Path, start: Start
) -> None:
    server.fault = lambda path, n_before: "slow" if path.endswith(".edf") else ""
    process = start(source(server, bucket, n_parallel=2), raw)
    wait_for((raw / ".eegfm_parts").exists)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 143
    errors = (tmp_path / "err").read_text()
    assert errors.count("\n") == 1, errors
    assert errors.startswith("eegfm: error: stopped by SIGTERM; ")
    server.reset()
    fetch(source(server, bucket), LAYOUT, "mine", raw)
    assert contents(raw) == FILES


def test_interruption_ends_the_threads(server: S3Server, bucket: str, raw: Path, monkeypatch: Any) -> None:
    server.fault = lambda path, n_before: "slow" if path.endswith(".edf") else ""

    def interrupted(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(eegfm.jobs.acquire.fetch, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(source(server, bucket, n_parallel=2), LAYOUT, "mine", raw)
    assert len(server.downloads()) <= 2, "what was queued is not begun"
    parts = list((raw / ".eegfm_parts").iterdir())
    assert all(part.stat().st_size == 0 for part in parts), "what was begun is not finished"
    monkeypatch.undo()
    server.reset()
    fetch(source(server, bucket), LAYOUT, "mine", raw)
    assert contents(raw) == FILES


def test_second_process_is_refused_by_name(server: S3Server, bucket: str, raw: Path, start: Start) -> None:
    server.fault = lambda path, n_before: "slow" if path.endswith(".edf") else ""
    process = start(source(server, bucket, n_parallel=1), raw)
    wait_for((raw / ".eegfm_parts").exists)
    try:
        expected = rf"process {process.pid} on {socket.gethostname()} is fetching into this folder; wait for it"
        with pytest.raises(EegfmError, match=expected):
            fetch(source(server, bucket), LAYOUT, "mine", raw)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    server.reset()
    fetch(source(server, bucket), LAYOUT, "mine", raw)  # the lock of a process that died is free
    assert contents(raw) == FILES


def test_without_network_what_is_complete_is_used(
    server: S3Server, bucket: str, raw: Path, caplog: Any, monkeypatch: Any
) -> None:
    away = "http://127.0.0.1:9"
    online = source(server, bucket, max_subjects=2)
    fetch(online, LAYOUT, "mine", raw)
    monkeypatch.setattr(eegfm.jobs.acquire.fetch, "N_ATTEMPTS", 1)
    before, caplog_text = tree(raw), "going on with what was fetched completely before"
    offline = online.model_copy(update={"endpoint_url": None})
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        fetch(offline, LAYOUT, "mine", raw)
        patch.setenv("AWS_ENDPOINT_URL", away)
        fetch(offline, LAYOUT, "mine", raw)
        assert caplog.text.count(caplog_text) == 1
        assert tree(raw) == before
        for other, layout in (
            (offline.model_copy(update={"max_subjects": 3}), LAYOUT),
            (offline.model_copy(update={"exclude": ("a/1.edf",)}), LAYOUT),
            (offline, EdfFolderCorpus(pattern="{subject}/{session}.edf")),
        ):
            with pytest.raises(UnreachableError, match=rf"s3://{bucket}/set: .*127\.0\.0\.1:9"):
                fetch(other, layout, "mine", raw)
        fetch(offline.model_copy(update={"n_parallel": 3}), LAYOUT, "mine", raw)  # decides nothing about the choice
        (raw / "a/1.edf").unlink()
        with pytest.raises(UnreachableError):
            fetch(offline, LAYOUT, "mine", raw)
    with pytest.raises(UnreachableError):
        fetch(offline.model_copy(update={"endpoint_url": away}), LAYOUT, "mine", raw.with_name("empty"))
    assert not raw.with_name("empty").exists()


def test_a_complete_folder_does_not_wait_for_a_server_that_is_away(server: S3Server, bucket: str, raw: Path) -> None:
    fetch(source(server, bucket), LAYOUT, "mine", raw)
    server.reset()
    server.fault = lambda path, n_before: "hang_up"
    fetch(source(server, bucket), LAYOUT, "mine", raw)
    assert len(server.requests) <= 2, "one attempt, which aiohttp repeats where a connection is lost"


def test_server_that_goes_away_ends_the_transfer_at_once(
    server: S3Server, bucket: str, raw: Path, monkeypatch: Any
) -> None:
    calls = []

    def gone(*args: Any) -> str:
        calls.append(args)
        raise UnreachableError("s3://x: no answer")

    monkeypatch.setattr(Bucket, "download", gone)
    with pytest.raises(UnreachableError):
        fetch(source(server, bucket, n_parallel=1), LAYOUT, "mine", raw)
    assert len(calls) < len(FILES)


def test_too_little_room_is_said_before_the_first_byte(
    server: S3Server, bucket: str, raw: Path, monkeypatch: Any
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(eegfm.jobs.acquire.fetch.shutil, "disk_usage", lambda folder: usage)
    expected = r"8 files of 240003 bytes \(240kB\) are to be fetched, 1000 bytes are free; make room"
    with pytest.raises(EegfmError, match=expected):
        fetch(source(server, bucket), LAYOUT, "mine", raw)
    assert server.downloads() == []


def test_full_disk_ends_in_one_line_and_can_be_mended(
    server: S3Server, bucket: str, raw: Path, monkeypatch: Any
) -> None:
    synced = count()

    def full(descriptor: int) -> None:
        if next(synced) > 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EegfmError, match=r"cannot be written \(No space left on device\); raw folder .*; run again"):
        fetch(source(server, bucket), LAYOUT, "mine", raw)
    monkeypatch.undo()
    fetch(source(server, bucket), LAYOUT, "mine", raw)
    assert contents(raw) == FILES


def test_folder_that_cannot_be_written_is_named(server: S3Server, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "raw").write_text("a file")
    with pytest.raises(EegfmError, match=r"/raw: cannot be written \(File exists\)"):
        fetch(source(server, bucket), LAYOUT, "mine", tmp_path / "raw")


def test_bucket_that_is_not_there_leaves_no_trace(server: S3Server, raw: Path) -> None:
    with pytest.raises(EegfmError, match="bucket nosuch does not exist"):
        fetch(source(server, "nosuch"), LAYOUT, "mine", raw)
    assert not raw.exists()


def test_wrong_layout_fetches_nothing(server: S3Server, bucket: str, raw: Path) -> None:
    with pytest.raises(EegfmError, match=r"is a recording of corpus mine; expected .* like S\{subject\}\.edf"):
        fetch(source(server, bucket), EdfFolderCorpus(pattern="S{subject}.edf"), "mine", raw)
    assert server.downloads() == []
    assert not raw.exists()


def test_key_that_leads_out_of_the_folder_is_refused(server: S3Server, raw: Path) -> None:
    server.put("evil", {"set/a/1.edf": b"x", "set/../../out.edf": b"x"})
    with pytest.raises(EegfmError, match=r"key '\.\./\.\./out\.edf' is no path inside a folder"):
        fetch(source(server, "evil"), LAYOUT, "mine", raw)
    fetch(source(server, "evil", exclude=["../*"]), LAYOUT, "mine", raw)
    assert contents(raw.parent.parent) == {"data/raw/a/1.edf": b"x"}


CONF = """
corpora: {{pretrain: [mine], probe: []}}
phases: [pretrain]
mix: {{weights: {{mine: 1.0}}}}
mine:
  acquire:
    source: {{name: s3, url: "s3://{bucket}/set", endpoint_url: "{url}", max_subjects: 2}}
  ingest: {{corpus: {{name: edf_folder, pattern: "sub{{subject}}.edf"}}, workers: {{n_workers: 1}}}}
  window: {{cuts: {{pretrain: {{name: fixed, length_s: 4, stride_s: 4}}}}}}
"""


def test_bucket_to_signal_store(server: S3Server, tmp_path: Path, monkeypatch: Any) -> None:
    """The pipeline itself: what is in the bucket is ingested, as real recordings, once."""
    files = {}
    for number in range(3):
        write_tones(tmp_path / "x.edf", ["Fp1", "Fp2", "F3", "F4", "C3", "C4", "O1", "O2"], range(8, 16), 10, 100)
        files[f"set/sub{number}.edf"] = (tmp_path / "x.edf").read_bytes()
    server.put("edf", files)
    conf = tmp_path / "conf"
    for name in ("base", "local"):
        (conf / name).mkdir(parents=True)
    for path in (PROJECT_ROOT / "conf" / "base").glob("*.yml"):
        (conf / "base" / path.name).write_bytes(path.read_bytes())
    (conf / "local" / "parameters.yml").write_text(CONF.format(bucket="edf", url=server.url))
    bootstrap_project(PROJECT_ROOT)

    def run() -> Any:
        params = {"data": str(tmp_path / "data")}
        session = KedroSession.create(PROJECT_ROOT, env="local", conf_source=str(conf), runtime_params=params)
        session.run(pipeline_names=["ingest"], namespaces=["mine"])
        return session.load_context().catalog

    catalog = run()
    recordings = catalog.load("mine.recordings")
    assert list(recordings["subject"]) == ["0", "1"]
    assert not catalog.load("mine.signals").is_simulated
    raw_files = catalog.load("mine.raw_files")
    assert all("md5:" in text for text in raw_files["published"])
    server.reset()
    assert run().load("mine.recordings").equals(recordings)
    assert server.downloads() == []


def test_record_names_its_file() -> None:
    assert RECORD.startswith(".eegfm_"), "no key of a bucket can take its place"
