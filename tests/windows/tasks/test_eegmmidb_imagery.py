"""eegmmidb movements: which class a value means in which run; real recordings against MNE's annotations."""

from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest

from eegfm.corpora.config import EdfFolderCorpus
from eegfm.errors import ConfigError
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.runs import SampleGrid
from eegfm.windows.tasks.eegmmidb_imagery import EegmmidbImageryTask
from tone_corpus import run_ingest
from tuh_tables import recordings_table

CLOCK = SampleGrid(10.0, "movements")
FISTS, FEET = ("left_fist", "right_fist"), ("both_fists", "both_feet")
# As https://physionet.org/content/eegmmidb/1.0.0/ lists them.
MEANING = {
    n: (kind, FISTS if n % 4 in (3, 0) else FEET) for n in range(3, 15) for kind in ["real" if n % 2 else "imagined"]
}


def trials(values: list[tuple[int, float, float, str]]) -> pd.DataFrame:
    data = [(f"tuh:r{r:03d}", onset, duration, value) for r, onset, duration, value in values]
    return pd.DataFrame(data, columns=["recording_id", "onset_s", "duration_s", "value"]).astype({"value": "str"})


def test_the_table_of_meanings_is_the_published_one() -> None:
    assert {n for n, (kind, pair) in MEANING.items() if kind == "imagined" and pair == FISTS} == {4, 8, 12}
    assert {n for n, (kind, pair) in MEANING.items() if kind == "real" and pair == FEET} == {5, 9, 13}


@pytest.mark.parametrize("rest", [False, True])
@pytest.mark.parametrize(
    "movements", ["imagined_fists", "imagined_feet", "imagined", "real_fists", "real_feet", "real"]
)
def test_the_run_decides_what_a_value_means(movements: str, rest: bool) -> None:
    numbers = list(range(1, 15))
    recordings = recordings_table([[(0, 200)]] * 14).assign(run=[f"{n:02d}" for n in numbers])
    events = trials([(r, t, 4.1, value) for r in range(14) for t, value in ((0.0, "T0"), (4.2, "T1"), (8.4, "T2"))])
    task = EegmmidbImageryTask(movements=movements, rest=rest)
    runs = task.find(recordings, events, CLOCK)
    wanted, _, what = movements.partition("_")
    expected = []
    for r, n in enumerate(numbers):
        kind, pair = MEANING.get(n, ("", FISTS))
        if kind == wanted and what in ("", "feet" if pair == FEET else "fists"):
            expected += [(r, 0, "rest")] * rest + [(r, 42, pair[0]), (r, 84, pair[1])]
    assert list(zip(runs.recording, runs.start, runs.label, strict=True)) == expected
    assert set(task.target_spec.classes) == {label for *_, label in expected}
    assert task.target_spec.kind == ("binary" if len(task.target_spec.classes) == 2 else "multiclass")
    assert runs.counted["n_recordings_of_other_runs"] == 14 - len({r for r, *_ in expected})
    assert runs.counted["n_events_of_other_values"] == (0 if rest else len(expected) // 2)


def test_windows_end_with_their_trial() -> None:
    recordings = recordings_table([[(0, 100), (110, 200)]]).assign(run="R04")
    values = [
        (0, 0.0, 4.1, "T1"),
        (0, 4.2, 3.9, "T2"),
        (0, 8.0, 4.1, "T1"),
        (0, 12.0, np.nan, "T2"),
        (0, 16.0, 9.0, "T2"),
    ]
    runs = EegmmidbImageryTask().find(recordings, trials([*values, (0, 1.0, 1.0, "T9")]), CLOCK)
    assert list(zip(runs.segment, runs.start, runs.label, strict=True)) == [(0, 0, "left_fist"), (1, 160, "right_fist")]
    assert runs.counted == {
        "n_recordings_of_other_runs": 0,
        "n_recordings_without_window": 0,
        "n_events_of_other_values": 1,
        "n_events_without_duration": 1,
        "n_events": 4,
        "n_events_without_window": 2,
    }
    shorter = EegmmidbImageryTask(length_s=1.0, stride_s=0.5).find(recordings, trials(values[:1]), CLOCK)
    assert shorter.start.tolist() == [0, 5, 10, 15, 20, 25, 30]


def test_events_without_durations_are_told() -> None:
    with pytest.raises(ConfigError, match="'movements': events have no column 'duration_s'"):
        EegmmidbImageryTask().find(recordings_table([[(0, 9)]]), trials([]).drop(columns="duration_s"), CLOCK)


@pytest.fixture(scope="module")
def ingested(shared_data: Path, tmp_path_factory: pytest.TempPathFactory):
    root, store = tmp_path_factory.mktemp("eegmmidb"), tmp_path_factory.mktemp("store")
    (root / "S001").mkdir()
    for run in ("01", "03", "04", "06"):
        (root / "S001" / f"S001R{run}.edf").symlink_to(shared_data / "eegmmidb" / "S001" / f"S001R{run}.edf")
    corpus = EdfFolderCorpus(pattern="S{subject}/S{subject}R{run}.edf", reference="unknown")
    return run_ingest(root, store, IngestParams(corpus=corpus, rates_hz=[160], workers=WorkerParams(n_workers=1)))


@pytest.mark.parametrize(
    ("movements", "run", "pair"),
    [("real_fists", "03", FISTS), ("imagined_fists", "04", FISTS), ("imagined_feet", "06", FEET)],
)
def test_real_trials_are_those_of_mne(
    ingested, shared_data: Path, movements: str, run: str, pair: tuple[str, str]
) -> None:
    raw = mne.io.read_raw_edf(shared_data / "eegmmidb" / "S001" / f"S001R{run}.edf", verbose="error")
    label_of = {"T0": "rest", "T1": pair[0], "T2": pair[1]}
    recording = ingested.recordings.set_index("run").loc[run]
    [start], [stop] = recording["segment_starts"], recording["segment_stops"]
    rate_hz = float(recording["rate_hz"])
    assert 118 < (stop - start) / rate_hz < len(raw.times) / raw.info["sfreq"] == 125  # the last seconds are dead
    notes = [(a["onset"], a["duration"], label_of[a["description"]]) for a in raw.annotations]
    held = [(onset, label) for onset, duration, label in notes if duration >= 4 and (onset + 4) * rate_hz <= stop]
    cut = EegmmidbImageryTask(movements=movements, rest=True)
    windows, counts = cut_windows(ingested.recordings, ingested.events, WindowParams(cuts={"m": cut}))
    assert windows["label"].tolist() == [label for _, label in held]
    off_s = windows["start"] / rate_hz - [onset for onset, _ in held]
    assert off_s.abs().max() <= 0.5 / rate_hz + 1e-9
    assert counts["m"]["n_events"] == len(notes) == 30
    assert counts["m"]["n_events_without_window"] == 30 - len(held) == 1
    assert counts["m"]["n_recordings_of_other_runs"] == 3
    assert sum(label != "rest" for _, _, label in notes) == 15
