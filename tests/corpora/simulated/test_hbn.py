import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.signal import welch

from eegfm.corpora.simulated.config import SimulatedHbn
from eegfm.corpora.simulated.hbn import plan, recordings
from eegfm.corpora.simulated.writer import write_simulated

from .conftest import read_uv

REAL_COLUMNS = (
    "participant_id release_number sex age ehq_total commercial_use full_pheno p_factor attention internalizing "
    "externalizing RestingState DespicableMe FunwithFractals ThePresent DiaryOfAWimpyKid contrastChangeDetection_1 "
    "contrastChangeDetection_2 contrastChangeDetection_3 surroundSupp_1 surroundSupp_2 seqLearning6target "
    "seqLearning8target symbolSearch"
)


def _table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", na_values=["n/a"], keep_default_na=False)


def _averaged(root: Path, number: int, task: str) -> tuple[np.ndarray, list[str], pd.DataFrame]:
    """Signal against the common average, Cz included, and events."""
    stem = root / f"sub-NDARSIM{number:05d}/eeg/sub-NDARSIM{number:05d}_task-{task}"
    data, names, _ = read_uv(Path(f"{stem}_eeg.bdf"))
    return data - data.mean(axis=0), names, _table(Path(f"{stem}_events.tsv"))


def _alpha(trace: np.ndarray, start_s: float) -> float:
    """Alpha power of 15 s."""
    start = int(start_s * 100)
    hz, power = welch(trace[start : start + 1500], 100, nperseg=200)
    return float(power[(hz >= 7) & (hz <= 12)].sum())


def test_tree_is_that_of_hbn(hbn_root: Path) -> None:
    folder = hbn_root / "sub-NDARSIM00001" / "eeg"
    stems = ["RestingState", "DespicableMe", "contrastChangeDetection_run-1"]
    expected = {
        f"sub-NDARSIM00001_task-{stem}_{end}"
        for stem in stems
        for end in ("eeg.bdf", "eeg.json", "channels.tsv", "events.tsv")
    }
    assert {p.name for p in folder.iterdir()} == expected
    assert len(list(hbn_root.glob("sub-*"))) == 4
    description = json.loads((hbn_root / "dataset_description.json").read_text())
    assert "SIMULATED" in description["Name"]
    assert "SIMULATED" in (hbn_root / "README").read_text()


def test_participants_have_the_published_columns_and_gaps(hbn_root: Path) -> None:
    text = (hbn_root / "participants.tsv").read_text()
    table = _table(hbn_root / "participants.tsv")
    assert list(table.columns) == REAL_COLUMNS.split()
    factors = table[["p_factor", "attention", "internalizing", "externalizing"]]
    assert factors.isna().all(axis=1).sum() == factors.isna().any(axis=1).sum() == 2
    assert "\tn/a\t" in text
    assert set(table["sex"]) == {"M", "F"}
    assert table["age"].between(5, 22).all()
    assert set(table["contrastChangeDetection_1"]) == {"available"}
    assert set(table["symbolSearch"]) == {"unavailable"}


def test_signals_are_recorded_against_cz(hbn_root: Path, hbn_config: SimulatedHbn) -> None:
    for path in sorted(hbn_root.rglob("*RestingState_eeg.bdf")):
        data, names, rate_hz = read_uv(path)
        assert names == [*(f"E{i}" for i in range(1, 129)), "Cz"]
        assert (rate_hz, data.shape[1]) == (100, hbn_config.resting_s * 100)
        assert not data[-1].any()
        sd = data[:-1].std(axis=1)
        assert (sd.min() > 3, sd.max() < 80) == (True, True)
        sidecar = json.loads(path.with_suffix(".json").read_text())
        assert (sidecar["EEGReference"], sidecar["SamplingFrequency"]) == ("Cz", 100)
        channels = _table(path.with_name(path.name.replace("_eeg.bdf", "_channels.tsv")))
        assert channels["name"].tolist() == names


def test_events_have_the_columns_of_the_challenge(hbn_root: Path) -> None:
    for path in hbn_root.rglob("*_events.tsv"):
        header = path.read_text().split("\n", 1)[0].split("\t")
        extra = ["feedback"] if "contrastChange" in path.name else []
        assert header == ["onset", "duration", "value", "event_code", *extra]


def test_alpha_rises_behind_when_the_eyes_close(hbn_root: Path) -> None:
    for number in range(1, 5):
        data, names, events = _averaged(hbn_root, number, "RestingState")
        opened = float(events.onset[events.value == "instructed_toOpenEyes"].iloc[0])
        closed = float(events.onset[events.value == "instructed_toCloseEyes"].iloc[0])

        behind = _alpha(data[names.index("E75")], closed + 3) / _alpha(data[names.index("E75")], opened + 3)
        in_front = _alpha(data[names.index("E11")], closed + 3) / _alpha(data[names.index("E11")], opened + 3)
        assert behind > 2
        assert behind > 1.5 * in_front


def test_movie_response_is_shared_by_persons(hbn_root: Path) -> None:
    responses = []
    for number in range(1, 5):
        data, names, events = _averaged(hbn_root, number, "DespicableMe")
        start = round(float(events.onset[events.value == "video_start"].iloc[0]) * 100)
        stop = round(float(events.onset[events.value == "video_stop"].iloc[0]) * 100)
        responses.append(data[names.index("E75"), start:stop])
    r = np.corrcoef(responses)[np.triu_indices(4, 1)]
    assert r.min() > 0.4
    shifted = np.corrcoef(responses[0][500:], responses[1][:-500])[0, 1]
    assert abs(shifted) < 0.3


def test_button_press_leaves_a_potential_at_the_vertex(hbn_root: Path) -> None:
    before, base = [], []
    for number in range(1, 5):
        data, names, events = _averaged(hbn_root, number, "contrastChangeDetection_run-1")
        cz = data[names.index("Cz")]
        for onset_s in events.onset[events.value.str.endswith("buttonPress")]:
            at = round(float(onset_s) * 100)
            before.append(cz[at - 10 : at].mean())
            base.append(cz[at - 120 : at - 80].mean())
    difference = np.subtract(before, base)
    assert len(difference) > 15
    assert difference.mean() < -10
    assert abs(difference.mean()) > 4 * difference.std() / np.sqrt(len(difference))


def test_set_files_are_the_same_brain_at_500_hz(tmp_path: Path) -> None:
    config = SimulatedHbn(n_subjects=1, resting_s=0, ccd_s=20, movies=(), file_format="set")
    write_simulated(config, tmp_path)
    path = next(tmp_path.rglob("*.set"))
    data, names, rate_hz = read_uv(path)
    assert (data.shape, names[-1], rate_hz) == ((129, 20 * 500), "Cz", 500)
    assert not data[-1].any()
    assert 3 < np.median(data[:-1].std(axis=1)) < 60
    events = _table(path.with_name(path.name.replace("_eeg.set", "_events.tsv")))
    assert list(events.columns) == ["onset", "duration", "sample", "value", "event_code", "feedback"]
    np.testing.assert_allclose(events["sample"], events["onset"] * 500)


@pytest.mark.parametrize("change", [{"n_ccd_runs": 3}, {"movies": ("DespicableMe", "ThePresent")}, {"resting_s": 0}])
def test_more_tasks_leave_the_other_recordings_as_they_are(change: dict[str, object]) -> None:
    few = SimulatedHbn(n_subjects=1, resting_s=20, ccd_s=20, movie_s=10)
    more = few.model_copy(update=change)
    assert {r.task for r in recordings(few)} != {r.task for r in recordings(more)} or change == {"n_ccd_runs": 3}
    old, new = ({f.path: f for f in plan(config)} for config in (few, more))
    shared = [path for path in old if path in new and path.startswith("sub-")]
    assert any(path.endswith(".bdf") for path in shared)
    for path in shared:
        assert old[path].render() == new[path].render(), path
