"""Of several copies the one that knows most is kept, and a flag says what they know otherwise."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edf_files import write_edf
from eegfm.corpora.config import BidsCorpus, CorpusConfig, EdfFolderCorpus
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.jobs.ingest.ingest import Ingested, ingest
from eegfm.signal.config import SignalParams
from set_files import TEN_TWENTY, eeg_uv

LABELS, RATE_HZ, SECONDS = TEN_TWENTY[:12], 250.0, 40
NOTES = [(4.0 * k + 1, None, b"left" if k % 2 else b"right") for k in range(8)]
BAD = [(10.0, 5.0, b"BAD_x")]
GOOD = [[0, 1000], [1500, 4000]]
"""Segments without the bad stretch, in stored samples."""


def signal_uv(seed: int = 1, seconds: float = SECONDS) -> NDArray[np.float32]:
    return eeg_uv(len(LABELS), round(seconds * RATE_HZ), RATE_HZ, seed)


def flat(*numbers: int) -> NDArray[np.float32]:
    uv = signal_uv()
    uv[list(numbers)] = 0
    return uv


def write(path: Path, uv: NDArray[np.float32] | None = None, **how: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    uv = signal_uv() if uv is None else uv
    labels = how.pop("labels", LABELS)
    bits = 24 if path.suffix == ".bdf" else 16
    write_edf(path, list(uv), labels, RATE_HZ, bits=bits, full_scale_uv=3000, **how)


def run(root: Path, corpus: CorpusConfig | None = None, folder: str = "signals") -> Ingested:
    corpus = corpus or EdfFolderCorpus(pattern="{subject}/{run}")
    params = IngestParams(corpus=corpus, workers=WorkerParams(n_workers=1))
    raw_files = params.corpus.build("mine").index(root)
    return ingest(raw_files, root, params, SignalParams(), root.parent / folder, simulated=False)


def kept_of(done: Ingested) -> dict[str, Any]:
    """The one recording that is in."""
    [row] = done.recordings.to_dict("records")
    return row


def differs(row: Mapping[str, Any]) -> set[str]:
    return {flag.partition(":")[2] for flag in row["flags"] if flag.startswith("copy_differs:")}


def segments(row: Mapping[str, Any]) -> list[list[int]]:
    return [list(pair) for pair in zip(row["segment_starts"], row["segment_stops"], strict=True)]


SEEN: list[tuple[dict[str, dict[str, Any]], str, set[str]]] = [
    ({"a.edf": {"notes": NOTES}, "a.bdf": {}}, "a.edf", {"events"}),
    ({"a.edf": {"uv": flat(2, 5)}, "b.edf": {}}, "b.edf", {"bad_channels"}),
    ({"a.edf": {}, "c.edf": {"labels": [f"EEG {name}-LE" for name in LABELS]}}, "c.edf", {"reference"}),
    ({"a.bdf": {"notes": NOTES[:3]}, "b.edf": {"notes": NOTES}}, "b.edf", {"events"}),
    ({"a.bdf": {}, "b.edf": {"notes": BAD}}, "b.edf", {"bad_stretches"}),
    ({"a.bdf": {"uv": flat(2)}, "b.edf": {"notes": NOTES, "uv": flat(2, 5)}}, "a.bdf", {"events", "bad_channels"}),
    ({"a.bdf": {"notes": NOTES}, "b.edf": {"notes": [(t + 0.004, d, x) for t, d, x in NOTES]}}, "a.bdf", set()),
    ({"a.bdf": {}, "a.edf": {}}, "a.bdf", set()),
]


@pytest.mark.parametrize(("files", "kept", "what"), SEEN)
def test_the_copy_that_knows_most_is_kept(
    tmp_path: Path, files: Mapping[str, Mapping[str, Any]], kept: str, what: set[str]
) -> None:
    root = tmp_path / "raw"
    for name, how in files.items():
        write(root / "p1" / name, **how)
    done = run(root)
    row = kept_of(done)
    assert row["path"] == f"p1/{kept}"
    assert differs(row) == what
    stated = files[kept].get("notes", [])
    assert len(done.events) == len(stated)
    outcomes = dict(zip(done.file_outcomes["path"], done.file_outcomes["outcome"], strict=True))
    assert sorted(outcomes.values()) == sorted(["excluded", "flagged" if row["flags"] else "in"])


def test_no_window_lies_in_what_another_copy_calls_bad(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    write(root / "p1/a.bdf", notes=NOTES)
    write(root / "p1/b.edf", notes=BAD)
    row = kept_of(run(root))
    assert row["path"] == "p1/a.bdf", "labels count for more"
    assert differs(row) == {"events", "bad_stretches"}
    assert segments(row) == GOOD
    assert row["segment_onsets_s"] == [0.0, 15.0]
    write(root / "p1/c.edf", notes=[(20.0, None, b"BAD_y")])
    row = kept_of(run(root))
    assert segments(row) == [[0, 1000], [1500, 2000], [2000, 4000]], "nobody knows where the second one ends"


def test_a_copy_that_ends_early_is_not_kept(tmp_path: Path) -> None:
    root, uv = tmp_path / "raw", signal_uv()
    uv[:, round(0.8 * uv.shape[1]) :] = 0
    write(root / "p1/a.bdf", uv)
    write(root / "p1/b.edf")
    row = kept_of(run(root))
    assert (row["path"], differs(row)) == ("p1/b.edf", {"seconds"})


def test_channels_marked_bad_and_labels_of_one_copy(tmp_path: Path) -> None:
    """Two runs with one signal; only the second has a table of its channels, and they are said to be of two tasks."""
    folder = tmp_path / "raw/sub-01/eeg"
    write(folder / "sub-01_task-x_eeg.bdf")
    write(folder / "sub-01_task-y_eeg.edf")
    rows = [f"{name}\tEEG\tuV\t{'bad' if name == LABELS[3] else 'good'}" for name in LABELS]
    (folder / "sub-01_task-y_channels.tsv").write_text("\n".join(["name\ttype\tunits\tstatus", *rows]) + "\n")
    row = kept_of(run(tmp_path / "raw", BidsCorpus()))
    assert row["path"].endswith("task-y_eeg.edf")
    assert row["bad_channels"] == [LABELS[3]]
    assert differs(row) >= {"bad_channels", "labels"}


@pytest.mark.parametrize("order", itertools.permutations(range(3)))
def test_the_order_of_coming_does_not_decide(tmp_path: Path, order: Sequence[int]) -> None:
    files: list[tuple[str, dict[str, Any]]] = [("a.bdf", {}), ("b.edf", {"notes": NOTES}), ("c.edf", {"notes": BAD})]
    root = tmp_path / "raw"
    for number in order:
        write(root / "p1" / files[number][0], **files[number][1])
        one_by_one = run(root)
    at_once = run(root, folder="at_once")
    assert one_by_one.recordings.equals(at_once.recordings)
    assert one_by_one.file_outcomes.equals(at_once.file_outcomes)
    row = kept_of(at_once)
    assert (row["path"], segments(row)) == ("p1/b.edf", GOOD)
    assert differs(row) == {"events", "bad_stretches"}
