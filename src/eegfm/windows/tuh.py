"""Shared parts of the tasks on TUH corpora: recordings of one corpus, annotations, the 22 derivations."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.errors import ConfigError
from eegfm.signal.montages.bipolar import TCP_PAIRS, tcp_name
from eegfm.windows.intervals import Intervals, sample_spans
from eegfm.windows.runs import Ints, SampleGrid
from eegfm.windows.spans import own_events

DERIVATIONS = tuple(tcp_name(index) for index in range(len(TCP_PAIRS)))
"""Outputs of the tasks with one output per derivation, in the order of the index of ``.rec`` files."""
EARS = {"A1", "A2"}
WITHOUT_EARS = ("03_tcp_ar_a", "04_tcp_le_a")
"""Montages that lack the ears and so have 20 of the 22 derivations."""


class Annotations(NamedTuple):
    """The annotations of one kind of file.

    Args:
        recordings: Recordings with such a file.
        value: (E,) label of each annotation.
        channel: (E,) name of the derivation, or ``TERM``.
        recording: (E,) index label of the recording.
        start: (E,) first sample.
        stop: (E,) one past the last sample.
        counted: Number of recordings and annotations left out, by reason.
    """

    recordings: pd.DataFrame
    value: "pd.Series[str]"
    channel: "pd.Series[str]"
    recording: Ints
    start: Ints
    stop: Ints
    counted: dict[str, int]

    def intervals(self, number_of: Mapping[str, Sequence[int]]) -> Intervals:
        """Intervals of annotations whose label has class numbers, one interval per number."""
        numbers = self.value.map(number_of).reset_index(drop=True).explode().dropna()
        row = numbers.index.to_numpy(dtype=np.int64)
        key = numbers.to_numpy(dtype=np.int64)
        return Intervals(self.recording[row], self.start[row], self.stop[row], key)

    def on(self, channel: str) -> "Annotations":
        """Annotations of one channel (a derivation or ``TERM``)."""
        which = (self.channel == channel).to_numpy(dtype=bool)
        return self._replace(
            value=self.value[which],
            channel=self.channel[which],
            recording=self.recording[which],
            start=self.start[which],
            stop=self.stop[which],
        )

    def n_of_other_labels(self, labels: Sequence[str]) -> int:
        """Number of annotations with another label than these."""
        return int((~self.value.isin(list(labels))).sum())


def of_family(recordings: pd.DataFrame, family: str) -> tuple[pd.DataFrame, dict[str, int]]:
    """Recordings of one TUH corpus, and the number of other recordings; all recordings if the layout does not tell."""
    if "family" not in recordings:
        return recordings, {}
    chosen = recordings[recordings["family"] == family]
    return chosen, {"n_recordings_of_other_corpus": len(recordings) - len(chosen)}


def annotations(
    recordings: pd.DataFrame, events: pd.DataFrame, sources: Sequence[str], sample_grid: SampleGrid
) -> Annotations:
    """Annotations of recordings, from one kind of file each.

    Several kinds of files may describe the same events of a recording; none is counted twice. A recording without such
    a file is left out, because a missing file does not mean that nothing was found.

    Args:
        recordings: Recordings to use; index labels are kept.
        events: The events table of a TUH corpus.
        sources: Kinds of files, the best first; other kinds are not used.
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
    """(W, 22) True for derivations that the recordings with these index labels lack. Some montages have no ears."""
    needs_ears = np.array([bool(set(pair) & EARS) for pair in TCP_PAIRS])
    if "acquisition" not in recordings:
        return np.zeros((len(recording), len(needs_ears)), dtype=bool)
    without_ears = recordings["acquisition"].isin(WITHOUT_EARS).to_numpy(dtype=bool)
    lacking: NDArray[np.bool_] = without_ears[recordings.index.get_indexer(pd.Index(recording)), None] & needs_ears
    return lacking
