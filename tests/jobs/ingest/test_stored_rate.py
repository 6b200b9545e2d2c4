"""A stored rate above the rates of the recordings: a flag for each, an error where it is all of them."""

import logging
from pathlib import Path

import pytest

from eegfm.errors import EegfmError
from eegfm.signal.config import SignalParams
from eegfm.store.reader import SignalStore
from tone_corpus import PARAMS, run_ingest, write_corpus, write_recording

ACCEPT = PARAMS.model_copy(update={"accept_upsampled": True})


def test_all_recordings_below_the_stored_rate_are_an_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root, signal = write_corpus(tmp_path / "raw"), SignalParams(rate_hz=500)
    with pytest.raises(EegfmError) as caught:
        run_ingest(root, tmp_path / "store", signal=signal)
    assert str(caught.value) == (
        "tones: signal.rate_hz is 500, and all 3 recordings have lower rates (250 Hz 2, 256 Hz 1): the stored signals "
        "hold no more than at 256 Hz. Set signal.rate_hz to at most 256; if an encoder needs this rate: "
        "--params=tones.ingest.accept_upsampled=true"
    )
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert [line for line in warnings if "below signal.rate_hz=500" in line] == [
        "tones:a_1 was recorded at 250 Hz, below signal.rate_hz=500: such recordings are interpolated (flag "
        "upsampled_from)"
    ]
    assert len(SignalStore(tmp_path / "store").entries) == 3
    done = run_ingest(root, tmp_path / "store", ACCEPT, signal)
    assert done.recordings["flags"].tolist() == [["upsampled_from:250"], ["upsampled_from:256"], ["upsampled_from:250"]]
    assert done.file_outcomes["outcome"].tolist() == ["flagged"] * 3


def test_some_below_are_flagged(tmp_path: Path) -> None:
    root = write_corpus(tmp_path / "raw")
    write_recording(root / "d_1.edf", rate_hz=512)
    done = run_ingest(root, tmp_path / "store", signal=SignalParams(rate_hz=500))
    flags = dict(zip(done.recordings["recording_id"], done.recordings["flags"], strict=True))
    assert flags == {
        "tones:a_1": ["upsampled_from:250"], "tones:a_2": ["upsampled_from:256"], "tones:b_1": ["upsampled_from:250"],
        "tones:d_1": [],
    }  # fmt: skip


@pytest.mark.parametrize(("rate_hz", "is_flagged"), [(250.0, False), (250.2, False), (251.0, True)])
def test_the_error_of_a_clock_is_none(tmp_path: Path, rate_hz: float, *, is_flagged: bool) -> None:
    root = write_corpus(tmp_path / "raw", ("a_1",))
    done = run_ingest(root, tmp_path / "store", ACCEPT, SignalParams(rate_hz=rate_hz))
    assert done.recordings["flags"].tolist() == ([["upsampled_from:250"]] if is_flagged else [[]])


def test_a_band_that_no_recording_holds_names_the_highest_that_one_does(tmp_path: Path) -> None:
    root = write_corpus(tmp_path / "raw")
    with pytest.raises(EegfmError, match=r"none got in.*set signal.high_hz to at most 124\.5 for this recording"):
        run_ingest(root, tmp_path / "store", signal=SignalParams(rate_hz=512, high_hz=150))
