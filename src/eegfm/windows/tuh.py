"""Shared parts of the tasks on TUH corpora: recordings of one corpus, annotations, the 22 derivations."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.errors import ConfigError
from eegfm.signal.montages.bipolar import TCP_PAIRS, tcp_name
from eegfm.windows.cutters.base import Cut
from eegfm.windows.intervals import Intervals, sample_spans
from eegfm.windows.runs import Ints, SampleGrid
from eegfm.windows.spans import own_events

DERIVATIONS = tuple(tcp_name(index) for index in range(len(TCP_PAIRS)))
"""Outputs of the tasks that ask about every derivation, by the index that ``.rec`` files use."""
EARS = {"A1", "A2"}
WITHOUT_EARS = ("03_tcp_ar_a", "04_tcp_le_a")
"""Montages that lack the ears and so have 20 of the 22 derivations."""


class Annotations(NamedTuple):
    """The annotations of one kind of file.

    Args:
        recordings: Those that have such a file.
        value: (E,) label of each.
        channel: (E,) name of its derivation, or ``TERM``.
        recording: (E,) index label of its recording.
        start: (E,) first sample.
        stop: (E,) sample behind the last.
        counted: What was left out.
    """

    recordings: pd.DataFrame
    value: "pd.Series[str]"
    channel: "pd.Series[str]"
    recording: Ints
    start: Ints
    stop: Ints
    counted: dict[str, int]

    def intervals(self, number_of: Mapping[str, Sequence[int]]) -> Intervals:
        """Intervals of those whose label has numbers, one for each of its numbers."""
        numbers = self.value.map(number_of).reset_index(drop=True).explode().dropna()
        row = numbers.index.to_numpy(dtype=np.int64)
        key = numbers.to_numpy(dtype=np.int64)
        return Intervals(self.recording[row], self.start[row], self.stop[row], key)

    def on(self, channel: str) -> "Annotations":
        """Those on one derivation."""
        which = (self.channel == channel).to_numpy(dtype=bool)
        return self._replace(
            value=self.value[which],
            channel=self.channel[which],
            recording=self.recording[which],
            start=self.start[which],
            stop=self.stop[which],
        )

    def n_of_other_labels(self, labels: Sequence[str]) -> int:
        """Number of annotations whose label is none of these."""
        return int((~self.value.isin(list(labels))).sum())


class TuhCut(Cut):
    """Base of tasks on the recordings of one TUH corpus, whose name (column ``family``) is that of the task."""

    name: str

    def choose(self, recordings: pd.DataFrame, sample_grid: SampleGrid) -> tuple[pd.DataFrame, dict[str, int]]:
        """Choose the recordings of the corpus, all where the layout does not tell; see the base class."""
        if "family" not in recordings:
            return recordings, {}
        chosen = recordings[recordings["family"] == self.name]
        return chosen, {"n_recordings_of_other_corpus": len(recordings) - len(chosen)}


def annotations(
    recordings: pd.DataFrame, events: pd.DataFrame, sources: Sequence[str], sample_grid: SampleGrid
) -> Annotations:
    """Annotations of recordings, from one kind of file each.

    Several kinds of file may tell of the same events of a recording; none is counted twice. A recording without such a
    file is left out: that nothing was found and that nobody looked are two things.

    Args:
        recordings: Rows to look at; index labels are kept.
        events: The events table of a TUH corpus.
        sources: Kinds of files, the best first; those of the others are left out.
        sample_grid: Rate, and name of the cut.

    Raises:
        ConfigError: A column is missing.
    """
    missing = [column for column in ("duration_s", "source", "channel") if column not in events]
    if missing:
        raise ConfigError(
            f"cut {sample_grid.cut!r}: events have no column {missing[0]!r}, which TUH annotations bring; "
            "cut a corpus with the layout 'tuh' that has annotation files"
        )
    found, recording = own_events(recordings, events)
    rank = found["source"].map({source: n for n, source in enumerate(sources)}).to_numpy(dtype=float)
    best = pd.Series(rank).groupby(recording).transform("min").to_numpy(dtype=float)
    of_best = rank == best
    found, recording = found[of_best], recording[of_best]
    annotated = recordings[recordings.index.isin(recording)]
    has_duration = found["duration_s"].notna().to_numpy()
    n_events = len(found)
    found, recording = found[has_duration], recording[has_duration]
    onset_s, duration_s = (found[name].to_numpy(dtype=float) for name in ("onset_s", "duration_s"))
    start, stop = sample_spans(recordings, recording, onset_s, duration_s, sample_grid.rate_hz)
    counted = {
        "n_recordings_without_annotations": len(recordings) - len(annotated),
        "n_events_of_other_files": int((~of_best).sum()),
        "n_events_without_duration": int((~has_duration).sum()),
        "n_events": n_events,
    }
    return Annotations(annotated, found["value"], found["channel"], recording, start, stop, counted)


def lacks_derivation(recordings: pd.DataFrame, recording: Ints) -> NDArray[np.bool_]:
    """(W, 22) whether the recordings with these index labels have no such derivation: some montages have no ears."""
    needs_ears = np.array([bool(set(pair) & EARS) for pair in TCP_PAIRS])
    if "acquisition" not in recordings:
        return np.zeros((len(recording), len(needs_ears)), dtype=bool)
    without_ears = recordings["acquisition"].isin(WITHOUT_EARS).to_numpy(dtype=bool)
    lacking: NDArray[np.bool_] = without_ears[recordings.index.get_indexer(pd.Index(recording)), None] & needs_ears
    return lacking
