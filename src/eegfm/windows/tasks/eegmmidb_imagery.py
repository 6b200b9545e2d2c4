"""eegmmidb: the movement that is made or imagined."""

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import pandas as pd

from eegfm.errors import ConfigError
from eegfm.targets import TargetSpec
from eegfm.windows.cutters.base import Cut, Seconds
from eegfm.windows.intervals import Intervals, sample_spans, windows_inside
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.spans import own_events

_RUNS = {"real_fists": (3, 7, 11), "imagined_fists": (4, 8, 12), "real_feet": (5, 9, 13), "imagined_feet": (6, 10, 14)}
_VALUES = {
    "fists": {"T1": "left_fist", "T2": "right_fist"},
    "feet": {"T1": "both_fists", "T2": "both_feet"},
}
REST = "rest"

Movements = Literal["imagined_fists", "imagined_feet", "imagined", "real_fists", "real_feet", "real"]


class EegmmidbImageryTask(Cut):
    """Windows inside the trials of about 4 s, labelled with the movement that the target asked for.

    The meaning of ``T1`` and ``T2`` depends on the run: left and right fist in runs 3, 4, 7, 8, 11, 12, both fists and
    both feet in runs 5, 6, 9, 10, 13, 14. Movements are real in the odd runs, imagined in the even ones. ``T0`` is
    rest.

    Attributes:
        movements: ``imagined_fists`` (left or right), ``imagined_feet`` (both fists or both feet), ``imagined`` (all
            four, as in CBraMod and BioFoundation); ``real_fists``, ``real_feet`` and ``real`` for real movements.
        rest: Whether rest between the trials of the same runs is also a class.
        length_s: Window length; 4 s in CBraMod and BioFoundation. The first window begins with its trial.
        stride_s: From one window of a trial to the next; the window length by default.
    """

    citation: ClassVar[str] = (
        "Schalk et al. 2004, BCI2000, doi 10.1109/TBME.2004.827072; runs and annotations: "
        "https://physionet.org/content/eegmmidb/1.0.0/; windows: CBraMod, Wang et al. 2025, and BioFoundation, "
        "make_datasets/make_physionet_mi.py"
    )

    without_class: ClassVar[str] = "add recordings of it, or choose other movements"

    name: Literal["eegmmidb_imagery"] = "eegmmidb_imagery"
    movements: Movements = "imagined_fists"
    rest: bool = False
    length_s: Seconds = 4.0
    stride_s: Seconds | None = None

    @property
    def target_spec(self) -> TargetSpec:
        """The movements, then rest."""
        classes = [label for kind in self._kinds() for label in _VALUES[kind.partition("_")[2]].values()]
        classes += [REST] if self.rest else []
        return TargetSpec.of_classes(classes)

    def choose(self, recordings: pd.DataFrame, sample_grid: SampleGrid) -> tuple[pd.DataFrame, dict[str, int]]:
        """Choose the recordings of the runs that are asked for; see the base class."""
        chosen = recordings[recordings["run"].isin({s for kind in self._kinds() for s in _spellings(_RUNS[kind])})]
        return chosen, {"n_recordings_of_other_runs": len(recordings) - len(chosen)}

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Cut inside every trial; see the base class."""
        if "duration_s" not in events:
            raise ConfigError(
                f"cut {sample_grid.cut!r}: events have no column 'duration_s'; ingest the EDF files again"
            )
        found, recording = own_events(recordings, events)
        run = recordings["run"].to_numpy(dtype=object)[recordings.index.get_indexer(pd.Index(recording))]
        named = pd.Series(run, index=found.index, dtype="str") + ":" + found["value"].astype("str")
        number = named.map(self._numbers()).to_numpy(dtype=float)
        lasts = found["duration_s"].notna().to_numpy()
        trial = lasts & ~np.isnan(number)
        trials, recording = found[trial], recording[trial]
        onset_s, duration_s = (trials[name].to_numpy(dtype=float) for name in ("onset_s", "duration_s"))
        start, stop = sample_spans(recordings, recording, onset_s, duration_s, sample_grid.rate_hz)
        intervals = Intervals(recording, start, stop, number[trial].astype(np.int64))
        runs, of = windows_inside(recordings, intervals, sample_grid, self.length_s, self.stride_s or self.length_s)
        counted = {
            "n_recordings_without_window": len(recordings) - len(np.unique(runs.recording)),
            "n_events_of_other_values": int(np.isnan(number).sum()),
            "n_events_without_duration": int((~lasts & ~np.isnan(number)).sum()),
            "n_events": len(intervals),
            "n_events_without_window": len(intervals) - len(np.unique(of)),
        }
        return replace(runs, label=np.array(self.target_spec.classes, dtype=object)[intervals.key[of]], counted=counted)

    def _kinds(self) -> list[str]:
        """Kinds of runs for the configured movements."""
        return [kind for kind in _RUNS if kind == self.movements or kind.startswith(f"{self.movements}_")]

    def _numbers(self) -> dict[str, int]:
        """Number of the class by run and value, e.g. ``"04:T1"``."""
        classes = self.target_spec.classes
        labels = {
            f"{run}:{value}": label
            for kind in self._kinds()
            for run in _spellings(_RUNS[kind])
            for value, label in {**_VALUES[kind.partition("_")[2]], "T0": REST}.items()
        }
        return {key: classes.index(label) for key, label in labels.items() if label in classes}


def _spellings(runs: tuple[int, ...]) -> list[str]:
    """Spellings of run numbers in file names, patterns and BIDS entities."""
    return [spelt for n in runs for spelt in (f"{n}", f"{n:02d}", f"R{n:02d}")]
