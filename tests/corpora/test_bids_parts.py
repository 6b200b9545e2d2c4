"""Parts of one recording (``split-01``, ``split-02``): each event in the part that holds its time."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pybv
import pytest

from bids_tree import Table, write_eeglab, write_tree
from edf_files import set_field, write_edf
from eegfm.corpora import bids_parts
from eegfm.corpora.config import BidsCorpus
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.jobs.ingest.ingest import Ingested, ingest
from eegfm.signal.config import ReadParams, SignalParams
from eegfm.signal.header import SignalReader
from eegfm.signal.open import open_reader
from set_files import TEN_TWENTY, eeg_uv

LABELS, RATE_HZ = TEN_TWENTY[:8], 200.0
FOLDER = "sub-01/eeg"
STEM = f"{FOLDER}/sub-01_task-x_run-1"
LENGTHS_S = (20, 12, 15)
TABLE: Table = [
    ("onset", "duration", "trial_type"),
    (-0.5, 0, "too early"),
    (0, 0, "first"),
    (19.99, 0, "end of 1"),
    (19.9999999, 1, "start of 2"),
    (31, 4, "2 into 3"),
    (32.0000001, 0, "start of 3"),
    (46.9, 0, "last"),
    (47, 0, "too late"),
]


def write_part(root: Path, name: str, seconds: int, *, suffix: str = ".edf", seed: int = 0, start: str = "") -> Path:
    path = root / FOLDER / f"sub-01_task-x_run-1_{name}_eeg{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    uv = eeg_uv(len(LABELS), round(seconds * RATE_HZ), RATE_HZ, seed + len(name) * 7 + int(name[-1]))
    if suffix == ".vhdr":
        pybv.write_brainvision(
            data=uv * 1e-6, sfreq=RATE_HZ, ch_names=list(LABELS), fname_base=path.stem, folder_out=path.parent,
            unit="µV", fmt="binary_float32",
        )  # fmt: skip
    elif suffix == ".set":
        write_eeglab(path, uv, LABELS, RATE_HZ, fdt=True)
    else:
        write_edf(path, list(uv), LABELS, RATE_HZ, bits=24 if suffix == ".bdf" else 16)
        if start:
            set_field(path, "start time", start)
    return path


def write_parts(root: Path, suffix: str = ".edf", names: Sequence[str] = ("split-01", "split-02", "split-03")) -> None:
    for name, seconds in zip(names, LENGTHS_S, strict=False):
        write_part(root, name, seconds, suffix=suffix)


def run(root: Path, reading: ReadParams | None = None) -> Ingested:
    workers = WorkerParams(n_workers=1)
    params = IngestParams(corpus=BidsCorpus(), workers=workers, reading=reading or ReadParams())
    raw_files = params.corpus.build("mine").index(root)
    return ingest(raw_files, root, params, SignalParams(), root.parent / "signals", simulated=False)


def events_of(done: Ingested) -> dict[str, list[tuple[float, str]]]:
    """By part: onset and value."""
    rows = done.events.assign(part=done.events["recording_id"].str.extract(r"split-(\d+)")[0])
    return {part: list(zip(own["onset_s"].round(6), own["value"], strict=True)) for part, own in rows.groupby("part")}


def flags_of(done: Ingested) -> dict[str, list[str]]:
    return dict(zip(done.recordings["path"].str.extract(r"split-(\d+)")[0], done.recordings["flags"], strict=True))


PLACED = {
    "01": [(0.0, "first"), (19.99, "end of 1")],
    "02": [(0.0, "start of 2"), (11.0, "2 into 3")],
    "03": [(0.0, "2 into 3"), (0.0, "start of 3"), (14.9, "last")],
}


@pytest.mark.parametrize("suffix", [".edf", ".bdf", ".set", ".vhdr"])
def test_each_event_is_in_the_part_that_holds_its_time(tmp_path: Path, suffix: str) -> None:
    root = write_tree(tmp_path / "raw", {f"{STEM}_events.tsv": TABLE})
    write_parts(root, suffix)
    done = run(root)
    assert events_of(done) == PLACED
    assert flags_of(done) == {
        "01": ["events_outside:1"],
        "02": [],
        "03": ["events_late:1", "events_outside:1"],
    }
    late = done.events[(done.events["value"] == "2 into 3") & (done.events["onset_s"] == 0)]
    assert late["duration_s"].tolist() == [3.0]
    assert done.recordings["person"].tolist() == ["mine:01"] * 3
    assert (done.recordings["n_samples"] / 100).tolist() == list(LENGTHS_S), "no segment goes from part to part"


def test_a_table_of_a_part_is_about_this_part(tmp_path: Path) -> None:
    root = write_tree(
        tmp_path / "raw",
        {
            f"{STEM}_events.tsv": TABLE,
            f"{STEM}_split-02_events.tsv": [("onset", "duration", "trial_type"), (0.5, 0, "own"), (20, 0, "outside")],
        },
    )
    write_parts(root)
    done = run(root)
    assert events_of(done) == {**PLACED, "02": [(0.5, "own")]}


def test_a_table_of_all_runs_counts_from_the_start_of_each_run(tmp_path: Path) -> None:
    """The inheritance principle of BIDS: a table that names no run is about every run, each from its own start."""
    root = write_tree(tmp_path / "raw", {"task-x_events.tsv": [("onset", "duration", "trial_type"), (5, 0, "go")]})
    for run_number in (1, 2):
        path = root / FOLDER / f"sub-01_task-x_run-{run_number}_eeg.edf"
        path.parent.mkdir(parents=True, exist_ok=True)
        uv = eeg_uv(len(LABELS), 2000, RATE_HZ, run_number)
        write_edf(path, list(uv), LABELS, RATE_HZ)
    assert run(root).events["onset_s"].tolist() == [5.0, 5.0]


@pytest.mark.parametrize(
    ("names", "outcomes"),
    [
        (("split-02",), {"split-02": "part_missing"}),
        (("split-01", "split-03"), {"split-01": "", "split-03": "part_missing"}),
        (("split-1", "split-01", "split-02"), dict.fromkeys(("split-1", "split-01", "split-02"), "part_twice")),
        (("split-01", "split-02", "split-2"), {"split-01": "", "split-02": "part_twice", "split-2": "part_twice"}),
        (("split-0", "split-1"), {"split-0": "", "split-1": ""}),
        (("split-9", "split-10"), {"split-9": "part_missing", "split-10": "part_missing"}),
    ],
)
def test_parts_whose_time_is_unknown(tmp_path: Path, names: Sequence[str], outcomes: Mapping[str, str]) -> None:
    root = write_tree(tmp_path / "raw", {f"{STEM}_events.tsv": TABLE})
    write_parts(root, names=names)
    done = run(root)
    codes = dict(zip(done.file_outcomes["path"].str.extract(r"(split-\d+)")[0], done.file_outcomes["why"], strict=True))
    assert {name: code if code.startswith("part_") else "" for name, code in codes.items()} == outcomes
    for row in done.rejected.to_dict("records"):
        assert row["path"].rsplit("/", 1)[1] in row["reason"]
        assert row["remedy"]


def test_parts_without_a_shared_table_stand_alone(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    write_part(root, "split-03", 20)
    write_tree(root, {f"{STEM}_split-03_events.tsv": [("onset", "duration", "trial_type"), (0.5, 0, "own")]})
    done = run(root)
    assert events_of(done) == {"03": [(0.5, "own")]}
    (root / f"{STEM}_split-03_events.tsv").unlink()
    assert len(run(root).recordings) == 1


def test_an_earlier_part_that_cannot_be_read(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "raw", {f"{STEM}_events.tsv": TABLE})
    write_parts(root)
    first = root / f"{STEM}_split-01_eeg.edf"
    content = first.read_bytes()
    first.write_bytes(b"0       nothing")
    assert run(root).rejected["code"].tolist() == ["truncated_header", "part_missing", "part_missing"]
    first.write_bytes(content)
    assert events_of(run(root)) == PLACED


def test_the_whole_recording_in_two_formats(tmp_path: Path) -> None:
    """The parts of each format belong together; where one format lacks a part, the other's tells the time."""
    root = write_tree(tmp_path / "raw", {f"{STEM}_events.tsv": [("onset", "duration", "value"), (20.5, 0, "go")]})
    write_parts(root)
    write_part(root, "split-02", 12, suffix=".bdf", seed=50)
    done = run(root)
    rows = done.events.merge(done.recordings[["recording_id", "path"]])
    paths = {p.rsplit("_", 2)[1] + p[-4:]: t for p, t in zip(rows["path"], rows["onset_s"], strict=True)}
    assert paths == {"split-02.edf": 0.5, "split-02.bdf": 0.5}


def test_a_change_of_a_part_makes_the_others_stale(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "raw", {f"{STEM}_events.tsv": TABLE})
    write_parts(root)
    other = root / "sub-02/eeg/sub-02_task-x_split-01_eeg.edf"
    other.parent.mkdir(parents=True)
    shutil.copy(root / f"{STEM}_split-01_eeg.edf", other)
    keys = {e.recording_id: e.key for e in run(root).store.entries}
    assert {e.recording_id: e.key for e in run(root).store.entries} == keys
    write_part(root, "split-01", 10)
    done = run(root)
    assert events_of(done)["02"] == [(9.99, "end of 1"), (10.0, "start of 2")]
    changed = {e.recording_id for e in done.store.entries if e.key != keys[e.recording_id]}
    assert len(changed) == 3
    (root / f"{STEM}_split-03_eeg.edf").unlink()
    assert "events_outside:4" in flags_of(run(root))["02"], "it is the last part now"


def test_boundaries_and_bad_stretches_of_the_table_are_those_of_the_part(tmp_path: Path) -> None:
    table = [("onset", "duration", "value"), (25, 0, "boundary"), (18, 3, "BAD_jump")]
    root = write_tree(tmp_path / "raw", {f"{STEM}_events.tsv": table})
    write_parts(root)
    rows = run(root).recordings.to_dict("records")
    segments = [list(zip(r["segment_starts"], r["segment_stops"], strict=True)) for r in rows]
    assert segments == [[(0, 1800)], [(100, 500), (500, 1200)], [(0, 1500)]]


@pytest.mark.parametrize(
    ("starts", "flags"),
    [
        (("12.00.00", "12.00.20", "12.00.32"), [[], [], []]),
        (("12.00.00", "12.00.00", "12.00.00"), [[], [], []]),
        (("12.00.00", "12.05.20", "12.00.31"), [[], ["part_start_differs:300"], []]),
        (("25.00.00", "12.05.20", "12.05.20"), [["bad_start_time"], [], []]),
    ],
)
def test_starts_of_the_headers_are_a_cross_check(
    tmp_path: Path, starts: Sequence[str], flags: Sequence[Sequence[str]]
) -> None:
    root = write_tree(tmp_path / "raw", {f"{STEM}_events.tsv": TABLE[:1] + TABLE[2:-1]})
    for k, (seconds, start) in enumerate(zip(LENGTHS_S, starts, strict=True), 1):
        write_part(root, f"split-{k:02d}", seconds, start=start)
    found = [[f for f in own if f != "events_late:1"] for own in flags_of(run(root)).values()]
    assert found == flags


@pytest.mark.parametrize(
    ("stated", "flags"),
    [
        ({"RecordingDuration": 47}, set()),
        ({"RecordingDuration": 60}, {"parts_length_differs:-13.0"}),
    ],
)
def test_a_length_of_the_whole_recording(tmp_path: Path, stated: Mapping[str, Any], flags: set[str]) -> None:
    root = write_tree(tmp_path / "raw", {f"{STEM}_events.tsv": TABLE, f"{STEM}_eeg.json": stated})
    write_parts(root)
    done = run(root)
    assert done.rejected.empty
    for own in flags_of(done).values():
        assert {flag for flag in own if flag.startswith("parts_")} == flags
    write_tree(root, {f"{STEM}_split-02_eeg.json": {"RecordingDuration": 47}})
    assert run(root).rejected["code"].tolist() == ["length_mismatch"], "this one is about the part"
    np.testing.assert_allclose(run(root).recordings["duration_s"], [20, 15])


def test_parts_are_read_as_the_recording_is(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "raw", {f"{STEM}_events.tsv": TABLE, f"{STEM}_eeg.json": {"RecordingDuration": 60}})
    write_parts(root)
    for path in (root / FOLDER).glob("*.edf"):
        content = path.read_bytes()
        assert content.count(b"uV      ") == len(LABELS)
        path.write_bytes(content.replace(b"uV      ", b"uvx     "))
    done = run(root, ReadParams(units={"uvx": "uV"}))
    assert events_of(done) == PLACED
    assert all("parts_length_differs:-13.0" in flags for flags in flags_of(done).values())


@pytest.mark.parametrize("salvage", [False, True])
def test_an_earlier_part_that_ends_early(tmp_path: Path, salvage: bool) -> None:
    """Salvaged, it gets in; what is lost of it is no longer there to tell where the next one begins."""
    root = write_tree(tmp_path / "raw", {f"{STEM}_events.tsv": TABLE})
    write_parts(root)
    first = root / f"{STEM}_split-01_eeg.edf"
    first.write_bytes(first.read_bytes()[:-5000])
    done = run(root, ReadParams(salvage_truncated=salvage))
    assert done.rejected["code"].tolist() == [*(() if salvage else ("truncated",)), "part_missing", "part_missing"]
    for row in done.rejected[done.rejected["code"] == "part_missing"].to_dict("records"):
        assert "split-01_eeg.edf" in row["reason"]
        assert "side by side" not in row["remedy"], "they stand there"
        assert "events.tsv of its own" in row["remedy"]


def test_other_parts_are_opened_for_a_stated_length_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def watched(path: Path, params: ReadParams | None = None) -> SignalReader:
        opened.append(path.name.rsplit("_", 2)[1])
        return open_reader(path, params)

    monkeypatch.setattr(bids_parts, "open_reader", watched)
    root = write_tree(tmp_path / "raw", {f"{STEM}_events.tsv": TABLE})
    write_parts(root)
    run(root)
    assert sorted(opened) == ["split-01", "split-01", "split-02"], "only the earlier ones, for their length"


def write_whole(root: Path, parts: Sequence[str], suffix: str = ".edf") -> None:
    """The same signal as a whole and in parts."""
    ends = np.cumsum([0, *LENGTHS_S[: len(parts)]]) * round(RATE_HZ)
    uv = eeg_uv(len(LABELS), int(ends[-1]), RATE_HZ, 5)
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_edf(folder / f"sub-01_task-x_run-1_eeg{suffix}", list(uv), LABELS, RATE_HZ)
    for name, start, stop in zip(parts, ends, ends[1:], strict=False):
        write_edf(folder / f"sub-01_task-x_run-1_{name}_eeg.edf", list(uv[:, start:stop]), LABELS, RATE_HZ)


def test_a_whole_recording_beside_its_parts_is_said(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "raw", {f"{STEM}_events.tsv": TABLE})
    write_whole(root, ("split-01", "split-02", "split-03"))
    write_edf(root / FOLDER / "sub-01_task-x_run-2_eeg.edf", list(eeg_uv(8, 4000, RATE_HZ, 9)), LABELS, RATE_HZ)
    done = run(root)
    flagged = dict(zip(done.recordings["path"].str.extract(r"x_(.*)_eeg")[0], done.recordings["flags"], strict=True))
    assert {name for name, flags in flagged.items() if "whole_beside_parts" in flags} == set(flagged) - {"run-2"}
