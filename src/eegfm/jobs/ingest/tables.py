"""Tables of a corpus in its store: recordings, events, rejected files, and the outcome of every file."""

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from eegfm.corpora.base import OPTIONS_USED
from eegfm.recording import person_id
from eegfm.store.index import RecordingEntry, RejectedEntry
from eegfm.store.reader import SignalStore

OUTCOMES = ("in", "flagged", "rejected", "excluded")
COPY_OF = "the same recording as"
"""Start of the reason of an exclusion, for a copy of another file."""
_FLOAT_FACTS = ("age_years", "p_factor", "attention", "internalizing", "externalizing", "task_start_s", "task_stop_s")
_FILE_IDENTITY = ["n_bytes", "mtime_ns", "sidecars", "published", "excluded", "label_flags"]


class Kept(NamedTuple):
    """Information from copies for the recording that is kept.

    Args:
        flags: ``copy_differs:<what>``.
        bad: Stretches that a copy calls bad, in seconds of the stored samples; stretches without an end last 0 s.
    """

    flags: tuple[str, ...]
    bad: tuple[tuple[float, float], ...]


def recordings_table(
    store: SignalStore,
    raw_files: pd.DataFrame,
    copies: Collection[str] = (),
    kept: Mapping[str, Kept] = MappingProxyType({}),
) -> pd.DataFrame:
    """One row per recording in the store that is no copy of another, in id order.

    Columns of ``raw_files`` have their present values, not those at the time of the conversion. A corrected label
    therefore costs no conversion. If a row has no value, the value from the recording's own files counts.

    Args:
        store: All recordings.
        raw_files: Rows of the recordings.
        copies: Ids of recordings that are copies of others.
        kept: Information from copies, by id of the recording that is kept.
    """
    entries = sorted((e for e in store.entries if e.recording_id not in copies), key=lambda e: e.recording_id)
    rows = raw_files.set_index("recording_id", drop=False).loc[[e.recording_id for e in entries]].to_dict("records")
    nothing = Kept((), ())
    table = pd.DataFrame(
        [_facts(e, row, kept.get(e.recording_id, nothing)) for e, row in zip(entries, rows, strict=True)]
    )
    if table.empty:
        return pd.DataFrame(columns=list(raw_files.columns.drop(_FILE_IDENTITY)))
    table["duration_s"] = table["n_samples"] / table["rate_hz"]
    table["person"] = [person_id(c, s) for c, s in zip(table["corpus"], table["subject"], strict=True)]
    table["simulated"] = store.is_simulated
    for name in _FLOAT_FACTS:
        # A configured label of the same name with type text stays text.
        if name in table and not table[name].map(lambda value: isinstance(value, str)).any():
            table[name] = table[name].astype("float64")
    return table.drop(columns=_FILE_IDENTITY)


def _facts(entry: RecordingEntry, row: Mapping[Hashable, Any], kept: Kept) -> dict[str, Any]:
    flags = sorted({*entry.facts["flags"], *row["label_flags"].split(), *kept.flags})
    facts = {**(_without_bad(entry.facts, kept.bad) if kept.bad else entry.facts), "flags": flags}
    facts.pop(OPTIONS_USED, None)
    return {**facts, **{str(k): facts.get(str(k), value) if is_missing(value) else value for k, value in row.items()}}


def _without_bad(facts: Mapping[str, Any], bad: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Cut stretches out of a recording's segments. At a stretch without an end, one segment ends and another starts.

    Args:
        facts: Facts with ``segment_starts``, ``segment_stops``, ``segment_onsets_s`` and ``rate_hz``.
        bad: Onset and duration in seconds of the stored samples.
    """
    rate_hz = facts["rate_hz"]
    columns = ("segment_starts", "segment_stops", "segment_onsets_s")
    segments = list(zip(*(facts[name] for name in columns), strict=True))
    for onset_s, duration_s in bad:
        first = math.floor(onset_s * rate_hz + 1e-6)
        last = math.ceil((onset_s + duration_s) * rate_hz - 1e-6)
        pieces = []
        for start, stop, start_s in segments:
            parts = ((start, min(stop, first)), (max(start, last), stop)) if first < stop and last > start else ()
            pieces += [(a, b, start_s + (a - start) / rate_hz) for a, b in parts or ((start, stop),) if a < b]
        segments = pieces
    return {**facts, **{name: [segment[k] for segment in segments] for k, name in enumerate(columns)}}


def is_missing(value: Any) -> bool:
    """True if a value is missing."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def events_table(store: SignalStore, copies: Collection[str] = ()) -> pd.DataFrame:
    """One row per event, in order of recording and onset. Columns that a corpus lacks are absent."""
    entries = [entry for entry in store.entries if entry.recording_id not in copies]
    rows = [{"recording_id": e.recording_id, **event} for e in entries for event in e.events]
    first = ["recording_id", "onset_s", "duration_s", "value"]
    table = pd.DataFrame(rows, columns=None if rows else first)
    table = table[first + [c for c in table.columns if c not in first]]
    numbers = {c: "float64" for c in ("onset_s", "duration_s", "confidence") if c in table}
    table = table.astype({**numbers, **{c: "str" for c in table.columns if c not in numbers}})
    return table.sort_values(["recording_id", "onset_s"], kind="stable", ignore_index=True)


def rejected_table(store: SignalStore) -> pd.DataFrame:
    """One row per rejected file."""
    columns = ["path", "stage", "code", "reason", "remedy"]
    rows = [{c: getattr(e, c) for c in columns} for e in store.rejected]
    return pd.DataFrame(rows, columns=columns, dtype="str").sort_values("path", ignore_index=True)


def file_outcomes_table(
    raw_files: pd.DataFrame,
    recordings: pd.DataFrame,
    rejected: Sequence[RejectedEntry],
    copies: Mapping[str, str] = MappingProxyType({}),
) -> pd.DataFrame:
    """Outcome of every raw file: one row per file with one of four outcomes.

    Args:
        raw_files: All raw files.
        recordings: Recordings in the store.
        rejected: Rejected files.
        copies: Path of the recording that is kept, by recording id of its copies.

    Returns:
        Columns path, outcome (``in``, ``flagged``, ``rejected``, ``excluded``), recording_id, and why: the flags, the
        code of the rejection, or the reason of the exclusion.
    """
    flags = {} if recordings.empty else dict(zip(recordings["recording_id"], recordings["flags"], strict=True))
    codes = {entry.recording_id: entry.code for entry in rejected}
    rows = []
    for path, recording_id, stated in raw_files[["path", "recording_id", "excluded"]].itertuples(index=False):
        kept = copies.get(recording_id)
        excluded = stated if kept is None else f"{COPY_OF} {kept}, which is kept"
        answers = [recording_id in flags, recording_id in codes, excluded != ""]
        assert answers.count(True) == 1, f"{path} is in, rejected or excluded, and only one of them"
        if excluded:
            outcome, why = "excluded", excluded
        elif recording_id in codes:
            outcome, why = "rejected", codes[recording_id]
        else:
            why = " ".join(flags[recording_id])
            outcome = "flagged" if why else "in"
        rows.append({"path": path, "outcome": outcome, "recording_id": recording_id, "why": why})
    assert len(flags) + len(codes) + len(copies) == int((raw_files["excluded"] == "").sum()), (
        "nothing else is in the store"
    )
    return pd.DataFrame(rows, columns=["path", "outcome", "recording_id", "why"], dtype="str")


def ingest_summary(file_outcomes: pd.DataFrame, recordings: pd.DataFrame) -> pd.DataFrame:
    """Files and hours of EEG by outcome. The sum over outcomes is the number of all raw files.

    Returns:
        Columns outcome, files, hours, why (the most frequent reasons with their counts); the last row is the sum.
    """
    hours = pd.Series(0.0, index=file_outcomes["recording_id"])
    if len(recordings):
        hours.update(recordings.set_index("recording_id").pipe(lambda t: t["n_samples"] / t["rate_hz"] / 3600))
    table = file_outcomes.assign(hours=hours.to_numpy())
    rows = []
    for outcome in OUTCOMES:
        chosen = table[table["outcome"] == outcome]
        rows.append(
            {
                "outcome": outcome,
                "files": len(chosen),
                "hours": round(float(chosen["hours"].sum()), 2),
                "why": _reasons(chosen),
            }
        )
    total = {"outcome": "seen", "files": len(file_outcomes), "hours": round(float(table["hours"].sum()), 2), "why": ""}
    assert file_outcomes["outcome"].isin(OUTCOMES).all(), "every file seen has one outcome"
    return pd.DataFrame([*rows, total])


def _reasons(files: pd.DataFrame, n_most: int = 5) -> str:
    """The most frequent reasons; flags without their channels."""
    if files.empty:
        return ""
    reasons = files["why"]
    if files["outcome"].iloc[0] == "flagged":
        reasons = _kinds(reasons.str.split())
    counts = reasons[reasons != ""].value_counts()
    named = [f"{reason} {n}" for reason, n in counts.head(n_most).items()]
    return ", ".join([*named, *(["…"] if len(counts) > n_most else [])])


def count_flags(recordings: pd.DataFrame) -> str:
    """Number of recordings with each kind of flag, e.g. ``flat 60``; ``none`` if there are no flags."""
    if recordings.empty:
        return "none"
    counts = _kinds(recordings["flags"]).value_counts(sort=False).sort_index()
    return ", ".join(f"{flag} {n}" for flag, n in counts.items()) or "none"


def _kinds(flags: "pd.Series[Any]") -> "pd.Series[Any]":
    """Flags without their channels, each once per recording."""
    return flags.map(lambda found: sorted({flag.partition(":")[0] for flag in found})).explode().dropna()
