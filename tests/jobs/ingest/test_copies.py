"""One recording that is there several times is counted once; recordings of their own are never left out."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pybv
import pytest
from numpy.typing import NDArray

from bids_tree import write_eeglab
from edf_files import write_edf, write_tones
from eegfm.corpora.config import BidsCorpus, CorpusConfig, EdfFolderCorpus
from eegfm.errors import StoreError
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.jobs.ingest.copies import find_copies
from eegfm.jobs.ingest.ingest import Ingested, ingest
from eegfm.signal.config import SignalParams
from set_files import TEN_TWENTY, eeg_uv

LABELS, RATE_HZ, DURATION_S = TEN_TWENTY[:12], 250.0, 30


def signal_uv(seed: int = 1, seconds: float = DURATION_S) -> NDArray[np.float32]:
    return eeg_uv(len(LABELS), round(seconds * RATE_HZ), RATE_HZ, seed)


def write(
    root: Path, name: str, uv: NDArray[np.floating], labels: Sequence[str] = LABELS, full_scale_uv: float = 3000
) -> Path:
    """One file of the kind that its suffix names; ``name`` is ``subject[/session]_run.suffix``."""
    stem, suffix = name.rsplit(".", 1)
    where, run = stem.rsplit("_", 1)
    subject, _, session = where.partition("/")
    folder = root / f"sub-{subject}" / (f"ses-{session}" if session else "") / "eeg"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"sub-{subject}{f'_ses-{session}' if session else ''}_task-x_run-{run}_eeg.{suffix}"
    if suffix == "vhdr":
        pybv.write_brainvision(
            data=uv * 1e-6, sfreq=RATE_HZ, ch_names=list(labels), fname_base=path.stem, folder_out=folder, unit="µV",
            fmt="binary_float32",
        )  # fmt: skip
    elif suffix == "set":
        write_eeglab(path, np.asarray(uv), labels, RATE_HZ)
    else:
        write_edf(path, list(uv), labels, RATE_HZ, full_scale_uv=full_scale_uv, bits=24 if suffix == "bdf" else 16)
    return path


def run(root: Path, n_workers: int = 1, folder: str = "signals", corpus: CorpusConfig | None = None) -> Ingested:
    params = IngestParams(corpus=corpus or BidsCorpus(), workers=WorkerParams(n_workers=n_workers))
    raw_files = params.corpus.build("mine").index(root)
    return ingest(raw_files, root, params, SignalParams(), root.parent / folder, simulated=False)


def names(paths: Sequence[str]) -> list[str]:
    """Run and suffix of each path."""
    return [path.rsplit("run-", 1)[1].replace("_eeg", "") for path in paths]


def outcome(done: Ingested) -> dict[str, str]:
    """By file, what it is a copy of; empty for those that are in."""
    copies = done.file_outcomes[done.file_outcomes["outcome"] == "excluded"]
    whole = copies["why"].str.extract(r"^the same recording as (\S+), which is kept$")[0]
    return dict(zip(names(copies["path"].tolist()), names(whole.tolist()), strict=True))


def counted(done: Ingested) -> list[str]:
    return names(done.recordings["path"].tolist())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "raw", "02_1.edf", signal_uv(99))
    return tmp_path / "raw"


@pytest.mark.parametrize(
    ("files", "kept"),
    [
        (("01_1.edf", "01_1.bdf"), "1.bdf"),
        (("01_1.set", "01_1.vhdr"), "1.vhdr"),
        (("01_1.edf", "01_1.set"), "1.set"),
        (("01_1.edf", "01_1.set", "01_1.bdf", "01_1.vhdr"), "1.bdf"),
        (("01_2.edf", "01_1.edf"), "1.edf"),
        (("01_2.bdf", "01_1.edf"), "2.bdf"),
        (("01/b_1.edf", "01/a_2.edf"), "2.edf"),
    ],
)
def test_one_of_several_copies_is_counted(root: Path, files: Sequence[str], kept: str) -> None:
    for name in files:
        write(root, name, signal_uv())
    done = run(root)
    others = {name.rsplit("_", 1)[1] for name in files} - {kept}
    assert outcome(done) == dict.fromkeys(others, kept)
    assert sorted(counted(done)) == sorted(["1.edf", kept])
    assert done.file_outcomes["outcome"].value_counts().to_dict() == {"in": 2, "excluded": len(others)}
    assert set(done.events["recording_id"]) <= set(done.recordings["recording_id"])


Change = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def nothing(uv: NDArray[np.float32]) -> NDArray[np.float32]:
    return uv


@pytest.mark.parametrize(
    ("change", "labels", "full_scale_uv"),
    [
        (nothing, LABELS, 100_000.0),  # a step of 3 µV
        (lambda uv: uv[::-1], LABELS[::-1], 3000),
        (lambda uv: uv[:9], LABELS[:9], 3000),
        (
            lambda uv: uv[:, : round(28.5 * RATE_HZ)],
            LABELS,
            3000,
        ),  # whole records only
        (lambda uv: np.where(np.arange(uv.shape[1]) < 0.8 * uv.shape[1], uv, 0), LABELS, 3000),
    ],
)
def test_copies_need_not_be_equal(
    root: Path,
    change: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    labels: Sequence[str],
    full_scale_uv: float,
) -> None:
    write(root, "01_1.set", signal_uv())
    write(root, "01_2.edf", change(signal_uv()), labels, full_scale_uv)
    assert outcome(run(root)) == {"2.edf": "1.set"}


def test_more_channels_win(root: Path) -> None:
    write(root, "01_1.bdf", signal_uv()[:9], LABELS[:9])
    write(root, "01_2.edf", signal_uv())
    assert outcome(run(root)) == {"1.bdf": "2.edf"}


def test_the_other_comes_back_when_the_kept_one_goes(root: Path, conversions: list[str]) -> None:
    kept = write(root, "01_1.edf", signal_uv())
    write(root, "01_2.edf", signal_uv())
    first = run(root)
    assert counted(first) == ["1.edf", "1.edf"]
    index = (root.parent / "signals/index.jsonl").read_bytes()
    run(root)
    assert (root.parent / "signals/index.jsonl").read_bytes() == index
    content = kept.read_bytes()
    kept.unlink()
    assert counted(run(root)) == ["2.edf", "1.edf"]
    assert len(conversions) == 3, "it was in the store all the time"
    kept.write_bytes(content)
    again = run(root)
    assert again.file_outcomes.equals(first.file_outcomes)
    kept.write_bytes(content[:2000])
    assert counted(run(root)) == ["2.edf", "1.edf"], "a file that cannot be read is kept for nobody"


def test_neither_order_nor_workers_decide(root: Path) -> None:
    files = ["01_3.set", "01_1.edf", "01_2.edf", "01_4.edf"]
    for name in files:
        write(root, name, signal_uv(7 if name == "01_4.edf" else 1))
        last = run(root)
    at_once, two = run(root, folder="at_once"), run(root, 2, folder="two")
    for other in (at_once, two):
        assert last.file_outcomes.equals(other.file_outcomes)
        assert last.recordings.equals(other.recordings)
    assert outcome(last) == {"1.edf": "3.set", "2.edf": "3.set"}


def test_copies_of_another_person_are_a_matter_of_splits(root: Path) -> None:
    """Whose the recording is cannot be told from the signal; both names become one identity there."""
    write(root, "01_1.edf", signal_uv(99))
    assert outcome(run(root)) == {}


def noise_and(common: NDArray[np.floating], seed: int, noise_uv: float) -> NDArray[np.floating]:
    return common + noise_uv * np.random.default_rng(seed).standard_normal(common.shape)


@pytest.mark.parametrize("noise_uv", [0.3, 3.0, 30.0])
def test_recordings_that_share_tones_hum_and_calibration_are_two(root: Path, noise_uv: float) -> None:
    """A pulse at the start, a tone per channel and hum are the same to the bit; what is left is not."""
    time_s = np.arange(round(DURATION_S * RATE_HZ)) / RATE_HZ
    tones = 50 * np.sin(2 * np.pi * (5 + np.arange(len(LABELS)))[:, None] * time_s)
    common = tones + 20 * np.sin(2 * np.pi * 50 * time_s) + 200 * (np.floor(time_s) % 2) * (time_s < 9)
    for number in range(1, 5):
        write(root, f"01_{number}.edf", noise_and(common, number, noise_uv))
    assert outcome(run(root)) == {}


def test_flat_channels_make_no_copies(root: Path) -> None:
    """Five of twelve channels are flat in both, another four in the second only."""
    for number, n_flat in ((1, 5), (2, 5)):
        uv = signal_uv(number)
        uv[:n_flat] = 0
        write(root, f"01_{number}.edf", uv)
    done = run(root)
    assert outcome(done) == {}
    assert len(done.recordings) == 3


def test_long_still_stretches_make_no_copies(root: Path) -> None:
    """A good part of both recordings is the same silence, the first place that is looked at too."""
    for number in (1, 2):
        uv = signal_uv(number)
        uv[:, 500:3500] = 0
        write(root, f"01_{number}.edf", uv)
    assert outcome(run(root)) == {}


def test_a_copy_that_is_still_for_a_while_is_found(root: Path) -> None:
    uv = signal_uv()
    uv[:, 500:3500] = 0
    for number in (1, 2):
        write(root, f"01_{number}.edf", uv)
    assert outcome(run(root)) == {"2.edf": "1.edf"}


def test_what_cannot_be_compared_is_no_copy(root: Path) -> None:
    """No channel, or only a few, are in both."""
    write(root, "01_1.edf", signal_uv(), TEN_TWENTY[:12])
    write(root, "01_2.edf", signal_uv(), TEN_TWENTY[12:24])
    write(root, "01_3.edf", signal_uv(), [*TEN_TWENTY[:5], *TEN_TWENTY[24:31]])
    assert outcome(run(root)) == {}


def test_a_shorter_recording_is_another(root: Path) -> None:
    write(root, "01_1.edf", signal_uv())
    write(root, "01_2.edf", signal_uv()[:, : round(25 * RATE_HZ)])
    assert outcome(run(root)) == {}


def test_short_recordings(root: Path) -> None:
    for name in ("01_1.edf", "01_2.edf"):
        write(root, name, signal_uv(1, 4))
    write(root, "01_3.edf", signal_uv(2, 4))
    assert outcome(run(root)) == {"2.edf": "1.edf"}


def test_runs_of_real_recordings_are_their_own(shared_data: Path, tmp_path: Path) -> None:
    """The runs of eegmmidb, many of one length, as if all were one person's, and one of them twice."""
    root = tmp_path / "raw"
    root.mkdir()
    for path in sorted((shared_data / "eegmmidb").rglob("S00*.edf")):
        shutil.copy(path, root / path.name)
    shutil.copy(root / "S001R03.edf", root / "S009R09.edf")
    corpus = EdfFolderCorpus(pattern="S{subject}R{run}.edf")
    params = IngestParams(corpus=corpus, workers=WorkerParams(n_workers=1))
    raw_files = corpus.build("mine").index(root).assign(subject="001")
    done = ingest(raw_files, root, params, SignalParams(), tmp_path / "signals", simulated=False)
    assert len(raw_files) > 10
    assert find_copies(done.store, raw_files) == {"mine:S009R09": "S001R03.edf"}


def test_pure_tones_that_differ_in_phase_are_two(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    root.mkdir()
    for number in (1, 2):
        write_tones(root / f"a_{number}.edf", LABELS, [5.0 + k + number / 8 for k in range(12)], 20, RATE_HZ)
    assert len(run(root, corpus=EdfFolderCorpus(pattern="{subject}_{run}.edf")).recordings) == 2


def test_stretches_of_the_store(root: Path) -> None:
    done = run(root)
    [name] = done.recordings["recording_id"]
    np.testing.assert_array_equal(done.store.stretch(name, 100, 250), done.store.recording(name)[100:250])
    with pytest.raises(StoreError, match="nobody is not in the store"):
        done.store.stretch("nobody", 0, 1)
