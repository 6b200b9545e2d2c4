"""A stored rate above all rates is refused before the store is emptied for it."""

from pathlib import Path

import pytest

from eegfm.errors import EegfmError
from eegfm.signal.config import SignalParams
from eegfm.store.reader import SignalStore
from tone_corpus import run_ingest, write_corpus, write_recording


def test_a_rate_above_all_stored_recordings_leaves_the_store_as_it_is(tmp_path: Path) -> None:
    root, store = write_corpus(tmp_path / "raw"), tmp_path / "store"
    digest = run_ingest(root, store).store.digest()
    with pytest.raises(EegfmError, match=r"signal\.rate_hz is 500, and all 3 recordings have lower rates"):
        run_ingest(root, store, signal=SignalParams(rate_hz=500))
    assert SignalStore(store).digest() == digest
    write_recording(root / "d_1.edf", rate_hz=512)
    assert len(run_ingest(root, store, signal=SignalParams(rate_hz=500)).recordings) == 4
