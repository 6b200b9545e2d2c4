"""Cut the recordings of one corpus into windows, as configured: tables in, tables out, no signal touched."""

import logging

import pandas as pd

from eegfm.errors import ConfigError, SplitError
from eegfm.windows.config import WindowParams
from eegfm.windows.runs import Clock
from eegfm.windows.unlabelled import label_faults

logger = logging.getLogger(__name__)

Counts = dict[str, dict[str, float]]
"""By cut, then by what is counted: ``n_recordings``, ``n_windows``, ``n_samples``, ``hours``, ..."""


def cut_windows(recordings: pd.DataFrame, events: pd.DataFrame, params: WindowParams) -> tuple[pd.DataFrame, Counts]:
    """Cut every recording of one corpus as configured.

    Args:
        recordings: One row per recording, with ``segment_starts`` and ``segment_stops`` in samples.
        events: One row per event: ``recording_id``, ``onset_s``, ``value``; ``onset_s`` counts in the recording's own
            samples: sample k lies at k / rate_hz.
        params: The cuts, by name.

    Returns:
        Runs of windows with the columns of ``eegfm.windows.runs.COLUMNS``, in the order of cut, recording and start
        whatever the order of the input; and the counts by cut.

    Raises:
        SplitError: There are no recordings, or a cut gives no window.
        ConfigError: A length is not a whole number of samples, a column is missing, rates are mixed, or a recording
            stands there twice.
    """
    if recordings.empty:
        raise SplitError("no recordings to cut; see the rejected table of the corpus for the reasons")
    twice = recordings.loc[recordings["recording_id"].duplicated(), "recording_id"]
    if len(twice):
        raise ConfigError(f"{len(twice)} recordings stand in the table twice, e.g. {twice.iloc[0]}; ingest again")
    recordings = recordings.sort_values("recording_id", ignore_index=True)
    rate_hz = _single_rate(recordings)
    tables: list[pd.DataFrame] = []
    counts: Counts = {}
    for task, cut in params.cuts.items():
        found = cut.find(recordings, events, Clock(rate_hz, task))
        counts[task] = found.counts(rate_hz)
        described = ", ".join(f"{name} {value:.6g}" for name, value in counts[task].items())
        if not counts[task]["n_windows"]:
            why = label_faults(recordings)
            raise SplitError(f"cut {task!r} gives no window of {len(recordings)} recordings ({described}){why}")
        logger.info("%s, cut %r: %s", recordings["corpus"].iloc[0], task, described)
        tables.append(found.table(recordings, task))
    return pd.concat(tables, ignore_index=True), counts


def counts_table(counts: Counts) -> pd.DataFrame:
    """Counts as rows: columns ``cut``, ``what`` and ``count``."""
    rows = [(cut, what, value) for cut, values in counts.items() for what, value in values.items()]
    return pd.DataFrame(rows, columns=["cut", "what", "count"]).astype(
        {"cut": "str", "what": "str", "count": "float64"}
    )


def _single_rate(recordings: pd.DataFrame) -> float:
    rates = sorted(set(recordings["rate_hz"]))
    if len(rates) > 1:
        raise ConfigError(f"recordings come at {rates} Hz; windows need one rate, ingest the corpus again")
    return float(rates[0])
