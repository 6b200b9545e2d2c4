"""Nothing that is stored drops out because a corpus was pointed at another folder, unless a parameter says so."""

import shutil
from pathlib import Path

import pytest

from eegfm.errors import EegfmError
from eegfm.jobs.ingest.ingest import ingest
from eegfm.signal.config import SignalParams
from eegfm.store.layout import read_facts
from eegfm.store.reader import SignalStore
from tone_corpus import CORPUS, PARAMS, run_ingest, write_corpus, write_recording

DROP = PARAMS.model_copy(update={"drop_missing": True})


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of four recordings of ``first``."""
    run_ingest(write_corpus(tmp_path / "first", ("a_1", "a_2", "b_1", "c_1")), tmp_path / "store")
    return tmp_path / "store"


def ids(store: Path) -> list[str]:
    return sorted(entry.recording_id.removeprefix("tones:") for entry in SignalStore(store).entries)


def refused(root: Path, store: Path, signal: SignalParams | None = None) -> str:
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file() and path.name != "lock.owner"}
    with pytest.raises(EegfmError) as caught:
        run_ingest(root, store, signal=signal)
    after = {path: path.read_bytes() for path in store.rglob("*") if path.is_file() and path.name != "lock.owner"}
    assert after == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_another_folder_asks_before_anything_drops(store: Path, tmp_path: Path) -> None:
    other = write_corpus(tmp_path / "other", ("a_1", "x_1", "y_1"))
    message = refused(other, store)
    expected = (
        f"tones: 3 of the 4 recordings in the store, which was made from {tmp_path / 'first'} are not in raw folder "
        f"{other} (3 files), e.g. tones:a_2; nothing was dropped."
    )
    assert message.startswith(expected)
    assert message.endswith("to drop them: --params=tones.ingest.drop_missing=true")
    assert ids(store) == ["a_1", "a_2", "b_1", "c_1"]
    run_ingest(other, store, DROP)
    assert ids(store) == ["a_1", "x_1", "y_1"]
    assert read_facts(store).raw_folder == str(other)
    run_ingest(other, store)


def test_one_recording_less_in_another_folder_asks_too(store: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "first", other)
    (other / "c_1.edf").unlink()
    assert "1 of the 4 recordings in the store, which was made from" in refused(other, store)


def test_other_parameters_do_not_open_a_way_around(store: Path, tmp_path: Path) -> None:
    other = write_corpus(tmp_path / "other", ("x_1", "y_1"))
    assert "4 of the 4 recordings" in refused(other, store, SignalParams(high_hz=30))


def test_most_files_gone_from_the_same_folder_ask(store: Path, tmp_path: Path) -> None:
    for name in ("a_1", "a_2"):
        (tmp_path / "first" / f"{name}.edf").unlink()
    run_ingest(tmp_path / "first", store)
    assert ids(store) == ["b_1", "c_1"]
    for path in (tmp_path / "first").glob("*.edf"):
        path.rename(path.with_name(f"d{path.name}"))
    message = refused(tmp_path / "first", store)
    assert f"2 of the 2 recordings in the store are not in raw folder {tmp_path / 'first'}" in message


def test_another_folder_with_the_same_names_asks_too(store: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "first", other)
    for k, name in enumerate(("a_1", "a_2", "b_1")):
        write_recording(other / f"{name}.edf", phase_seed=20 + k)
    for _ in range(2):
        with pytest.raises(EegfmError) as caught:
            run_ingest(other, store)
        assert str(caught.value).startswith(
            f"tones: 3 of the 4 recordings in the store, which was made from {tmp_path / 'first'}, have other contents "
            f"in raw folder {other}, e.g. tones:a_1; nothing was replaced."
        )
    digest = SignalStore(store).digest()
    run_ingest(tmp_path / "first", store)
    assert SignalStore(store).digest() == digest
    run_ingest(other, store, DROP)
    assert SignalStore(store).digest() != digest
    shutil.copytree(other, tmp_path / "third")
    write_recording(tmp_path / "third" / "a_1.edf", phase_seed=40)
    run_ingest(tmp_path / "third", store)  # one corrected recording of four is no other corpus


def test_a_moved_folder_a_link_and_more_files_do_not_ask(store: Path, tmp_path: Path) -> None:
    (tmp_path / "first").rename(tmp_path / "moved")
    write_corpus(tmp_path / "moved", ("a_1", "a_2", "b_1", "c_1", "d_1"))
    (tmp_path / "link").symlink_to(tmp_path / "moved")
    run_ingest(tmp_path / "link", store)
    assert ids(store) == ["a_1", "a_2", "b_1", "c_1", "d_1"]


def test_ids_that_get_their_folder_do_not_ask(tmp_path: Path) -> None:
    params = PARAMS.model_copy(update={"corpus": CORPUS.model_copy(update={"pattern": "{subject}/{run}.edf"})})
    write_corpus(tmp_path / "raw" / "s1", ("r1", "r2"))
    run_ingest(tmp_path / "raw", tmp_path / "store", params)
    assert ids(tmp_path / "store") == ["r1", "r2"]
    for run, twin in (("r1", "r2"), ("r2", "r1")):
        (tmp_path / "raw" / "s2").mkdir(exist_ok=True)
        shutil.copy(tmp_path / "raw" / "s1" / f"{twin}.edf", tmp_path / "raw" / "s2" / f"{run}.edf")
    run_ingest(tmp_path / "raw", tmp_path / "store", params)
    assert ids(tmp_path / "store") == ["s1/r1.edf", "s1/r2.edf", "s2/r1.edf", "s2/r2.edf"]


def test_excluded_files_and_simulated_folders_do_not_ask(store: Path, tmp_path: Path) -> None:
    raw_files = CORPUS.build("tones").index(tmp_path / "first")
    raw_files["excluded"] = ["", "on a list", "on a list", "on a list"]
    ingest(raw_files, tmp_path / "first", PARAMS, SignalParams(), store, simulated=False)
    assert ids(store) == ["a_1"]
    other = write_corpus(tmp_path / "other", ("x_1",))
    ingest(CORPUS.build("tones").index(other), other, PARAMS, SignalParams(), store, simulated=True)
    assert ids(store) == ["x_1"]
