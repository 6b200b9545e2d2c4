"""Options for names that no recording has a use for are named once; units: ``tests/signal/test_units.py``."""

import logging
from pathlib import Path

import pytest

from bids_tree import SIGNAL, write_signal
from eegfm.corpora.config import EdfFolderCorpus
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.jobs.ingest.ingest import Ingested, ingest
from eegfm.signal.config import ReadParams


def run(tmp_path: Path, options: dict[str, object]) -> Ingested:
    params = IngestParams(
        corpus=EdfFolderCorpus(), workers=WorkerParams(n_workers=1), reading=ReadParams.model_validate(options)
    )
    listed = params.corpus.build("mine").index(tmp_path / "raw")
    return ingest(listed, tmp_path / "raw", params, SIGNAL, tmp_path / "store", simulated=False)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for record in caplog.records if "mine.ingest.reading" in (text := record.getMessage())]


def test_options_that_change_no_label_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for k in range(2):
        write_signal(tmp_path / "raw" / f"{k}.edf", ["Fz", "Cz", "Ch1", "POL Pz", "Ch3"][: 4 + k], seed=k)
    options = {"renames": {"CH1": "Fp1", "Ch2": "Fp2", "C4": None}, "prefixes": ["POL", "X"], "suffixes": ["AV"]}
    line = (
        "mine: no recording has a label that these options of mine.ingest.reading change: renames ('Ch2', 'C4') and "
        "prefixes ('X') and suffixes ('AV'); labels that are no electrodes there: 'Ch3'"
    )
    for n_said in (1, 2):  # the second run converts nothing, and says it again
        done = run(tmp_path, options)
        assert said(caplog) == [line] * n_said
    assert "options_used" not in done.recordings
    assert done.store.montages[done.recordings["montage"].iloc[0]].channel_names == ("Fp1", "Fz", "Cz", "Pz")


def test_options_that_one_recording_needs_are_not_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_signal(tmp_path / "raw/a.edf", ["Fz", "Cz", "Ch1", "C1"])
    write_signal(tmp_path / "raw/b.edf", ["Fz", "Cz", "POL Pz-AV"], seed=1)
    with caplog.at_level(logging.WARNING):
        run(tmp_path, {"renames": {"Ch1": "Fp1", "C1": None}, "prefixes": ["POL"], "suffixes": ["AV"]})
        assert said(caplog) == []
        run(tmp_path, {"renames": {"Ch1": "Fp1", "C1": None, "X": None}})
    assert said(caplog)[0].endswith("renames ('X'); labels that are no electrodes there: 'C1'")
