"""Every undamaged recording of ``../shared/data`` gets in by default; those that do not are listed, with their codes.

Files are converted in this process, with the parameters that an experiment on them has and defaults for all else.
"""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from eegfm.corpora.config import BidsCorpus, CorpusConfig, EdfFolderCorpus
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.jobs.ingest.convert import Converted, Task, convert
from eegfm.jobs.ingest.ingest import Ingested, check_accounts, ingest
from eegfm.signal.config import ReadParams, SignalParams
from eegfm.store.index import RejectedEntry

IN_PROCESS = WorkerParams(n_workers=1)
EDF_FOLDERS = {
    "eegmat": (EdfFolderCorpus(pattern="Subject{subject}_{run}.edf", reference="linked_ears"), 46),
    "eegmmidb": (EdfFolderCorpus(pattern="S{subject}/S{subject}R{run}.edf"), 23),
    "guineabissau": (EdfFolderCorpus(pattern="signal-{subject}.edf"), 48),
}
"""By folder: its layout, and how many recordings there were when this was written."""
BIDS = {"test": "mne-python", "test_old_layout_latin1_software_filter": "mne-python", "eeglab_data": "eegprep"}
DAMAGED = {
    "crlf_damaged/S001/S001R03.edf": "text_mode",
    "derived/duplicate_label.edf": "duplicate_label",
    "derived/empty.edf": "not_edf",
    "derived/equal_physical_range.edf": "physical_range",
    "derived/header_cut.edf": "truncated_header",
    "derived/header_only_but_claims_20.edf": "truncated",
    "derived/nrec_minus_one.edf": "unknown_record_count",
    "derived/truncated_mid_record.edf": "truncated",
    "derived/zero_records.edf": "no_records",
    "mne-python/mne/io/edf/tests/data/duplicate_channel_labels.edf": "duplicate_label",
}
NO_EEG = {
    "EDF.jl/test/data/bdf_test.bdf": "no_eeg",
    "EDF.jl/test/data/bdf_test.edf": "no_eeg",
    "edfio/tests/TEST_DATA/SC4001EC-Hypnogram.edf": "no_signals",
    "edfio/tests/TEST_DATA/short_psg.bdf": "no_eeg",
    "edfio/tests/TEST_DATA/short_psg.edf": "no_eeg",
    "mne-python/mne/io/edf/tests/data/test.edf": "no_eeg",
    "mne-python/mne/io/edf/tests/data/test_stim_channel.edf": "no_eeg",
    "mne-python/mne/io/edf/tests/data/test_uneven_samp.edf": "no_eeg",
    "pyedflib/pyedflib/tests/data/test_generator_datarec_generator_0_5.bdf": "no_eeg",
    "pyedflib/pyedflib/tests/data/test_generator_datarec_generator_2.bdf": "no_eeg",
}
"""Generators, numbered channels, raw names of no cap, bipolar derivations, annotations alone: no electrode is named."""
TOO_SMALL = {
    "edfio/tests/TEST_DATA/test_subsecond.edf": "too_few_channels",
    "mne-python/mne/io/edf/tests/data/test.bdf": "too_short",
    "mne-python/mne/io/edf/tests/data/test_bdf_stim_channel.bdf": "too_few_channels",
    "mne-python/mne/io/edf/tests/data/test_edf_stim_channel.edf": "too_short",
    "pyedflib/pyedflib/tests/data/test_utf8.edf": "too_few_channels",
}
"""Excerpts of fewer than eight electrodes or four seconds. Lower limits let them in."""
SMALL = SignalParams(min_channels=1, min_duration_s=0.9)


def ingested(root: Path, corpus: CorpusConfig, folder: Path, **options: object) -> Ingested:
    params = IngestParams(corpus=corpus, workers=IN_PROCESS, **options)
    raw_files = corpus.build("mine").index(root)
    return ingest(raw_files, root, params, SignalParams(), folder, simulated=False)


@pytest.mark.parametrize("folder", EDF_FOLDERS)
def test_every_recording_of_a_folder_is_in(shared_data: Path, tmp_path: Path, folder: str) -> None:
    if not (shared_data / folder).is_dir():
        pytest.skip(f"real recordings are not here: {folder}")
    corpus, n_recordings = EDF_FOLDERS[folder]
    done = ingested(shared_data / folder, corpus, tmp_path / "signals")
    check_accounts(done.file_outcomes, done.recordings, done.rejected, "mine", 0.0)
    assert set(done.file_outcomes["outcome"]) <= {"in", "flagged"}
    assert len(done.recordings) == len(done.file_outcomes) >= n_recordings
    seconds = pd.Series(
        [
            sum(b - a for a, b in zip(r.segment_starts, r.segment_stops, strict=True))
            for r in done.recordings.itertuples()
        ]
    )
    assert seconds.min() >= 45 * 100, "what is in can be used"


def corner_case(root: Path, path: str, signal: SignalParams, spool: Path) -> Converted | RejectedEntry:
    stat = (root / path).stat()
    row = {"recording_id": "x:x", "corpus": "x", "subject": "x", "path": path, "published": ""}
    row |= {"n_bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    return convert(Task(root, row, "key", IngestParams(corpus=EdfFolderCorpus(pattern="{subject}")), signal, spool))


def test_every_corner_case_is_in_or_listed(shared_data: Path, tmp_path: Path) -> None:
    root, listed = shared_data / "edf_corner_cases", DAMAGED | NO_EEG | TOO_SMALL
    if not root.is_dir():
        pytest.skip("real recordings are not here: edf_corner_cases")
    paths = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.suffix in {".edf", ".bdf"})
    codes = {}
    for path in paths:
        done = corner_case(root, path, SignalParams(), tmp_path)
        if isinstance(done, RejectedEntry):
            codes[path] = done.code
            assert Path(path).name in done.reason or path not in DAMAGED
            assert done.remedy
    assert codes == listed
    assert len(paths) - len(codes) == 10
    for path in TOO_SMALL:
        assert isinstance(corner_case(root, path, SMALL, tmp_path), Converted), path


def bids_tree(shared_data: Path, root: Path) -> Path:
    """The recordings of BrainVision and EEGLAB under names of BIDS, their side files with them."""
    for subject, stem in enumerate(BIDS, 1):
        files = [
            path for path in shared_data.rglob(f"{stem}.*") if BIDS[stem] in path.parts and "edf" not in path.parts
        ]
        folder = root / f"sub-0{subject}" / "eeg"
        folder.mkdir(parents=True)
        for path in files:
            shutil.copy(path, folder / f"sub-0{subject}_task-x_eeg{path.suffix}")
    return root


def test_brainvision_and_eeglab(shared_data: Path, tmp_path: Path) -> None:
    """Two electrodes of one file have units that were put there as a test, and one file lasts a second."""
    if not list(shared_data.glob("brainvision")) or not list(shared_data.glob("eeglab_sample")):
        pytest.skip("real recordings are not here: brainvision, eeglab_sample")
    root = bids_tree(shared_data, tmp_path / "raw")
    done = ingested(root, BidsCorpus(), tmp_path / "signals", max_rejected_ratio=1.0)
    assert done.recordings["subject"].tolist() == ["03"]
    assert dict(zip(done.rejected["path"].str[:6], done.rejected["code"], strict=True)) == {
        "sub-01": "unknown_unit", "sub-02": "too_short",
    }  # fmt: skip
    units = ReadParams(units={"BS": "uV", "µS": "uV"})
    told = ingested(root, BidsCorpus(), tmp_path / "told", max_rejected_ratio=1.0, reading=units)
    assert told.recordings["subject"].tolist() == ["01", "03"]
