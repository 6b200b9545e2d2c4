"""Cut the recordings of one corpus into windows, as configured. Tables in, tables out; no signal is read."""

import logging

import pandas as pd

from eegfm.errors import ConfigError, SplitError
from eegfm.named import counted_values
from eegfm.targets import TargetSpec
from eegfm.windows.config import WindowParams
from eegfm.windows.cutters.base import Cut
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.unlabelled import label_faults, untaken_triggers

logger = logging.getLogger(__name__)

Counts = dict[str, dict[str, float]]
"""Counts by cut and name: ``n_recordings``, ``n_windows``, ``n_samples``, ``hours``, ..."""
_OF_EVENTS = ("n_events", "n_trials", "n_stretches")
"""Starts of the names of counts that only a cut by events has."""


def cut_windows(recordings: pd.DataFrame, events: pd.DataFrame, params: WindowParams) -> tuple[pd.DataFrame, Counts]:
    """Cut every recording of one corpus as configured.

    Args:
        recordings: One row per recording, with ``segment_starts`` and ``segment_stops`` in samples.
        events: One row per event: ``recording_id``, ``onset_s``, ``value``; ``onset_s`` counts in the recording's own
            samples: sample k lies at k / rate_hz.
        params: The cuts, by name.

    Returns:
        Runs of windows with the columns of ``eegfm.windows.runs.COLUMNS``, and the counts by cut. Runs are ordered by
        cut, recording and start, whatever the order of the input.

    Raises:
        SplitError: There are no recordings, a cut gives no window, or a class of its task has none.
        ConfigError: A length is not a whole number of samples, a column is missing, a parameter names a value that the
            corpus does not have, rates are mixed, or a recording is listed twice.
    """
    if recordings.empty:
        raise SplitError("no recordings to cut; see the rejected table of the corpus for the reasons")
    twice = recordings.loc[recordings["recording_id"].duplicated(), "recording_id"]
    if len(twice):
        raise ConfigError(f"{len(twice)} recordings are listed twice in the table, e.g. {twice.iloc[0]}; ingest again")
    recordings = recordings.sort_values("recording_id", ignore_index=True)
    rate_hz = _single_rate(recordings)
    tables: list[pd.DataFrame] = []
    counts: Counts = {}
    for cut, cutter in params.cuts.items():
        cutter.check_names(recordings, events, SampleGrid(rate_hz, cut))
        found = cutter.find(recordings, events, SampleGrid(rate_hz, cut))
        counts[cut] = found.counts(rate_hz)
        described = ", ".join(f"{name} {value:.6g}" for name, value in counts[cut].items())
        if not counts[cut]["n_windows"]:
            why = f"{_there_are(cutter, found, recordings, events)}{label_faults(recordings)}"
            raise SplitError(f"cut {cut!r} gives no window of {len(recordings)} recordings ({described}){why}")
        _warn_of_missing_labels(cut, counts[cut], recordings)
        _refuse_empty_class(cut, cutter, found, recordings, events, described)
        _warn_of_idle_outputs(cut, cutter.target_spec, found)
        logger.info("%s, cut %r: %s", recordings["corpus"].iloc[0], cut, described)
        tables.append(found.table(recordings, cut))
    return pd.concat(tables, ignore_index=True), counts


def _refuse_empty_class(
    cut: str, cutter: Cut, found: Runs, recordings: pd.DataFrame, events: pd.DataFrame, described: str
) -> None:
    """Refuse a task with a class that the whole corpus lacks. A model would learn another task.

    Raises:
        SplitError: Gives the number of windows of each class, and the values that exist.
    """
    if found.label is None:
        return
    n_windows = pd.Series(found.windows_per_run).groupby(found.label.astype(str)).sum()
    by_class = n_windows.reindex(list(cutter.target_spec.classes), fill_value=0)
    missing = [name for name, n in by_class.items() if not n]
    if missing:
        per_class = ", ".join(f"{name} {n}" for name, n in by_class.items())
        raise SplitError(
            f"cut {cut!r}: no window of class {', '.join(map(repr, missing))} in {len(recordings)} recordings "
            f"(windows per class: {per_class}; {described}); {_class_values(cutter, recordings, events)}; "
            f"{cutter.without_class}{label_faults(recordings)}"
        )


def _there_are(cutter: Cut, found: Runs, recordings: pd.DataFrame, events: pd.DataFrame) -> str:
    """Values in which an empty cut may have looked for others: of its classes or events, and BIDS tasks."""
    parts = []
    if found.label is not None or any(name.startswith(_OF_EVENTS) for name in found.counted):
        parts += [_class_values(cutter, recordings, events) + untaken_triggers(recordings)]
    if found.counted.get("n_recordings_of_other_tasks"):
        parts += [f"recordings (column 'bids_task') are: {counted_values(recordings['bids_task'])}"]
    return "".join(f"; {part}" for part in parts)


def _class_values(cutter: Cut, recordings: pd.DataFrame, events: pd.DataFrame) -> str:
    where, values = cutter.class_values(recordings, events)
    return f"{where} are: {counted_values(values)}"


def _warn_of_missing_labels(cut: str, counts: dict[str, float], recordings: pd.DataFrame) -> None:
    """Name faults of tables if recordings were left out for want of a label."""
    n_without, faults = counts.get("n_recordings_without_label", 0), label_faults(recordings)
    if n_without and faults:
        logger.warning("cut %r leaves out %d recordings without a label%s", cut, int(n_without), faults)


def _warn_of_idle_outputs(cut: str, target_spec: TargetSpec, found: Runs) -> None:
    """Warn of outputs of a task that are constant. Nothing can be learnt from a constant output."""
    if found.targets is None:
        return
    if target_spec.kind == "multilabel":
        idle = [
            name for name, values in zip(target_spec.outputs, found.targets.T, strict=True) if not (values > 0).any()
        ]
    else:
        idle = [name for number, name in enumerate(target_spec.classes) if not (found.targets == number).any()]
    if idle:
        logger.warning("Cut %r: no window of the whole corpus shows %s", cut, ", ".join(idle))


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
