"""Content that was not fetched: files and links of git-annex, files of Git LFS, in place of every kind of file."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pybv
import pytest
from kedro.io import DatasetError

from bids_tree import convert_file, write_eeglab, write_signal, write_tree
from eegfm.corpora.config import BidsCorpus, HbnCorpus, TuhCorpus
from eegfm.errors import RecordingError
from eegfm.io.foreign_file import ForeignFileDataset
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.jobs.ingest.convert import Task, convert
from eegfm.jobs.ingest.ingest import ingest
from eegfm.jobs.weights.foreign_weights import read_foreign_weights
from eegfm.signal.config import SignalParams
from eegfm.signal.pointers import is_there
from eegfm.store.index import RejectedEntry

KEY = "MD5E-s61000000--0123456789abcdef0123456789abcdef.edf"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 61000000\n"
LABELS = ("Fz", "Cz", "Pz", "O1")
EEG = "sub-01/eeg/sub-01_task-x"


def unlocked(path: Path) -> None:
    path.write_text(f"/annex/objects/{KEY}\n")


def link(path: Path) -> None:
    path.symlink_to(f"../../.git/annex/objects/x1/2y/{KEY}/{KEY}")


def link_as_text(path: Path) -> None:
    path.write_text(f"../../.git/annex/objects/x1/2y/{KEY}/{KEY}")


def lfs(path: Path) -> None:
    path.write_bytes(LFS)


KINDS: tuple[tuple[Callable[[Path], None], str], ...] = (
    (unlocked, "datalad get "), (link, "datalad get "), (link_as_text, "datalad get "), (lfs, "git lfs pull"),
)  # fmt: skip


def write_recording(path: Path) -> None:
    """A recording of the kind that the suffix names, and the files that belong to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".vhdr":
        data_v = np.random.default_rng(0).standard_normal((len(LABELS), 1000)) * 20e-6
        pybv.write_brainvision(
            data=data_v, sfreq=100, ch_names=list(LABELS), fname_base=path.stem, folder_out=path.parent,
            events=[{"onset": 100, "duration": 1, "description": 1}],
        )  # fmt: skip
    elif path.suffix == ".set":
        signal_uv = np.random.default_rng(0).standard_normal((len(LABELS), 1000)) * 20
        write_eeglab(path, signal_uv, LABELS, 100.0, fdt=True)
    else:
        write_signal(path, LABELS)


PLACES = (
    ("_eeg.edf", "_eeg.edf"), ("_eeg.bdf", "_eeg.bdf"),
    ("_eeg.set", "_eeg.set"), ("_eeg.set", "_eeg.fdt"),
    ("_eeg.vhdr", "_eeg.vhdr"), ("_eeg.vhdr", "_eeg.eeg"), ("_eeg.vhdr", "_eeg.vmrk"),
    ("_eeg.edf", "_events.tsv"), ("_eeg.edf", "_channels.tsv"), ("_eeg.edf", "_eeg.json"),
)  # fmt: skip
"""A recording, and which of its files was not fetched."""


@pytest.mark.parametrize(
    ("recording", "absent", "put", "remedy"),
    [(*place, *KINDS[0]) for place in PLACES] + [(*PLACES[k], *kind) for k in (0, 3, 6, 7) for kind in KINDS[1:]],
)
def test_a_row_says_what_was_not_fetched_and_how_to_fetch_it(
    tmp_path: Path, recording: str, absent: str, put: Callable[[Path], None], remedy: str
) -> None:
    root = tmp_path / "raw"
    write_recording(root / f"{EEG}{recording}")
    path = root / f"{EEG}{absent}"
    path.unlink(missing_ok=True)
    put(path)

    found = convert_file(BidsCorpus(), root, f"{EEG}{recording}", tmp_path / "spool")

    assert isinstance(found, RejectedEntry)
    assert found.code == "not_fetched"
    assert path.name in found.reason
    assert remedy in found.remedy
    assert (str(path) in found.remedy) == (put is not lfs)


def test_a_list_of_checksums_does_not_hide_the_reason(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "raw", {f"{EEG}_eeg.edf": LFS, "SHA256SUMS.txt": f"{'a' * 64}  {EEG}_eeg.edf\n"})

    found = convert_file(BidsCorpus(), root, f"{EEG}_eeg.edf", tmp_path / "spool")

    assert isinstance(found, RejectedEntry)
    assert found.code == "not_fetched"


def test_an_annotation_file_of_tuh(tmp_path: Path) -> None:
    path = tmp_path / "edf/train/aaaaaaaq/s006_2014/01_tcp_ar/aaaaaaaq_s006_t000.edf"
    write_recording(path)
    unlocked(path.with_suffix(".csv_bi"))
    (row,) = TuhCorpus().build("tuh").index(tmp_path).to_dict("records")

    found = convert(
        Task(tmp_path, row, "key", IngestParams(corpus=TuhCorpus()), SignalParams(min_channels=2), tmp_path)
    )

    assert isinstance(found, RejectedEntry)
    assert (found.code, "csv_bi" in found.reason) == ("not_fetched", True)


def test_persons_without_their_table(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody asked for labels: a line in the log. Somebody did, or the corpus needs the table: an error."""
    root = write_tree(tmp_path, {f"{EEG}_eeg.edf": b"", "participants.tsv": LFS})
    assert len(BidsCorpus().build("mine").index(root)) == 1
    assert "participants.tsv: names its content" in caplog.text
    for corpus in (BidsCorpus(labels={"group": "text"}), HbnCorpus()):
        with pytest.raises(RecordingError, match=r"participants\.tsv.*git lfs pull"):
            corpus.build("mine").index(root)


def test_published_weights(tmp_path: Path) -> None:
    path = tmp_path / "luna.safetensors"
    path.write_bytes(LFS)
    with pytest.raises(RecordingError, match=r"luna\.safetensors.*git lfs pull"):
        read_foreign_weights(path)
    with pytest.raises(DatasetError, match=r"luna\.safetensors.*git lfs pull"):
        ForeignFileDataset(filepath=str(path), variable="FOREIGN_WEIGHTS").load()


def test_content_that_is_fetched_gets_in_at_the_next_run(tmp_path: Path) -> None:
    """Size and time of the file stay, as where a link leads to a disk that was mounted meanwhile."""
    path = tmp_path / "raw" / f"{EEG}_eeg.edf"
    write_recording(path)
    content, times = path.read_bytes(), path.stat()
    path.write_bytes(LFS.ljust(len(content)))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    params = IngestParams(corpus=BidsCorpus(), workers=WorkerParams(n_workers=1))

    def run() -> tuple[int, list[str]]:
        root = tmp_path / "raw"
        listed = params.corpus.build("mine").index(root)
        done = ingest(listed, root, params, SignalParams(min_channels=2), tmp_path / "store", simulated=False)
        return len(done.recordings), list(done.rejected["code"])

    assert run() == (0, ["not_fetched"])
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert run() == (1, [])


def test_other_files_are_no_pointers(tmp_path: Path) -> None:
    (tmp_path / "events.tsv").write_text("onset\tnote\n1\t/annex/objects/\n")
    (tmp_path / "dangling").symlink_to("elsewhere.edf")
    (tmp_path / "fetched").symlink_to("events.tsv")
    assert [is_there(tmp_path / name) for name in ("events.tsv", "dangling", "fetched", "missing")] == [
        True, False, True, False,
    ]  # fmt: skip
