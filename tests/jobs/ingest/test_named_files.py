"""Files that only a header names belong to the identity of its recording: what changes in them is noticed."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pybv
import pytest

from eegfm.corpora.config import BidsCorpus
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.jobs.ingest.ingest import Ingested, ingest
from eegfm.signal.config import SignalParams
from set_files import TEN_TWENTY, eeg_uv, fields, write_fdt, write_set

LABELS, RATE_HZ = TEN_TWENTY[:8], 250.0
UV = eeg_uv(8, 2500, RATE_HZ)


def write_eeglab(folder: Path) -> tuple[Path, Path]:
    path = folder / "sub-01_task-x_eeg.set"
    write_set(path, fields(LABELS, 2500, RATE_HZ), "old name.fdt")
    write_fdt(folder / "old name.fdt", UV)
    return path, folder / "old name.fdt"


def write_brainvision(folder: Path) -> tuple[Path, Path]:
    path = folder / "sub-01_task-x_eeg.vhdr"
    pybv.write_brainvision(
        data=UV * 1e-6, sfreq=RATE_HZ, ch_names=list(LABELS), fname_base="old", folder_out=folder, unit="µV",
        fmt="binary_float32",
    )  # fmt: skip
    (folder / "old.vhdr").rename(path)
    return path, folder / "old.eeg"


Write = Callable[[Path], tuple[Path, Path]]
both = pytest.mark.parametrize("write", [write_eeglab, write_brainvision])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "raw" / "sub-01" / "eeg"
    folder.mkdir(parents=True)
    return folder


def run(folder: Path) -> Ingested:
    root = folder.parents[1]
    params = IngestParams(corpus=BidsCorpus(), workers=WorkerParams(n_workers=1))
    raw_files = params.corpus.build("mine").index(root)
    return ingest(raw_files, root, params, SignalParams(), root.parent / "signals", simulated=False)


def first_uv(done: Ingested) -> np.ndarray:
    return done.store.recording(done.recordings["recording_id"].item())


@both
def test_samples_under_another_name_are_read_again_when_they_change(
    folder: Path, conversions: list[str], write: Write
) -> None:
    _, data = write(folder)
    before = first_uv(run(folder))
    run(folder)
    assert len(conversions) == 1
    # BrainVision by pybv and the file of EEGLAB alike hold plain float32.
    data.write_bytes((np.frombuffer(data.read_bytes(), "<f4") * 2).astype("<f4").tobytes())
    os.utime(data, ns=(1, 1))
    after = first_uv(run(folder))
    assert len(conversions) == 2
    np.testing.assert_allclose(after, before * 2, atol=0.1)
    run(folder)
    assert len(conversions) == 2


@both
def test_samples_that_arrive_later_are_noticed(folder: Path, conversions: list[str], write: Write) -> None:
    _, data = write(folder)
    content = data.read_bytes()
    data.unlink()
    assert run(folder).rejected["code"].item() in {"fdt_missing", "data_missing"}
    data.write_bytes(content[:-4])
    assert run(folder).rejected["code"].item() in {"fdt_size", "data_size"}
    data.write_bytes(content)
    assert len(run(folder).recordings) == 1
    assert len(conversions) == 3


def test_markers_under_another_name_are_read_again(folder: Path, conversions: list[str]) -> None:
    write_brainvision(folder)
    assert run(folder).events.empty
    markers = folder / "old.vmrk"
    text = markers.read_text()
    markers.write_text(text + "Mk2=Stimulus,S  1,500,1,0\n")
    assert run(folder).events["value"].tolist() == ["Stimulus/S  1"]
    markers.unlink()
    done = run(folder)
    assert "markers_missing" in done.recordings["flags"].item()
    markers.write_text(text + "Mk2=Stimulus,S  1,500,1,0\n")
    assert run(folder).events["value"].tolist() == ["Stimulus/S  1"]
    assert len(conversions) == 4


def test_a_named_file_that_takes_the_place_of_a_renamed_one(folder: Path, conversions: list[str]) -> None:
    path, data = write_eeglab(folder)
    content = data.read_bytes()
    data.rename(path.with_suffix(".fdt"))
    assert run(folder).recordings["flags"].item() == ["fdt_renamed"]
    data.write_bytes(content)
    assert run(folder).recordings["flags"].item() == ["fdt_other_name"]
    assert len(conversions) == 2


def test_what_others_do_in_the_folder_is_no_matter(folder: Path, conversions: list[str]) -> None:
    write_eeglab(folder)
    run(folder)
    (folder / "another.fdt").write_bytes(b"1")
    run(folder)
    assert len(conversions) == 1


def test_headers_that_lead_nowhere(folder: Path) -> None:
    path, _ = write_eeglab(folder)
    write_set(path, fields(LABELS, 2500, RATE_HZ), "../x.fdt")
    (folder / "sub-01_task-y_eeg.vhdr").write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos\n"
    )
    done = run(folder)
    assert sorted(done.rejected["code"]) == ["brainvision_header", "data_outside_folder"]
    assert not any(entry.named for entry in done.store.rejected)
