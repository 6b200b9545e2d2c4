"""Explain missing labels and events of recordings from their flags."""

from collections import Counter

import pandas as pd

_NOT_IN = "not_in_"
"""Start of the flag of a recording whose person is missing in a table; see ``eegfm.corpora.label_join``."""
_UNTAKEN = {
    "triggers_not_read": "a trigger channel that holds no codes and was not read",
    "triggers_beside_events": "trigger codes that are not among the events, because annotations or events.tsv count",
}
"""Flags of recordings with triggers that are no events; see ``eegfm.corpora.file_events``."""
_PERSONS = (
    *("age_not_understood", "sex_not_understood", "number_not_understood", "rows_disagree"),
    *("side_file_unreadable:participants.tsv", "side_file_rows_left_out:participants.tsv"),
)
_EVENTS = ("side_file_unreadable:events.tsv", "side_file_rows_left_out:events.tsv", "events_without_onset")
_AS_WRITTEN = "_as_written"
"""End of the column with the text of a label that is not understood; see ``eegfm.corpora.bids_participants``."""


def label_faults(recordings: pd.DataFrame) -> str:
    """Text for the end of a message: faults of tables of labels and events according to the flags; "" for none."""
    return _faults(recordings, (_NOT_IN, *_PERSONS, *_EVENTS))


def event_faults(recordings: pd.DataFrame) -> str:
    """Text for the end of a message: faults of tables of events according to the flags; "" for none."""
    return _faults(recordings, _EVENTS)


def _faults(recordings: pd.DataFrame, starts: tuple[str, ...]) -> str:
    if "flags" not in recordings:
        return ""
    counts = Counter(flag for flags in recordings["flags"] for flag in flags)
    faults = [(flag, n) for flag, n in sorted(counts.items()) if flag.startswith(starts)]
    return "".join(f"; {_fault(flag, n)}{_example(recordings, flag)}" for flag, n in faults)


def _example(recordings: pd.DataFrame, flag: str) -> str:
    """The first text that is not understood, with its person and its place."""
    trait = flag.removesuffix("_not_understood")
    column = f"{trait}{_AS_WRITTEN}"
    if trait == flag or column not in recordings:
        return ""
    said = recordings.loc[[isinstance(text, str) and text != "" for text in recordings[column]], ["subject", column]]
    return f" (e.g. {trait} of {said['subject'].iloc[0]} is {said[column].iloc[0]})" if len(said) else ""


def _fault(flag: str, n_recordings: int) -> str:
    if not flag.startswith(_NOT_IN):
        return f"{n_recordings} recordings are flagged {flag}"
    table, _, share = flag.removeprefix(_NOT_IN).partition(":")
    return (
        f"{n_recordings} recordings have no row in {table} ({share.replace('_', ' ')} rows match a folder): "
        "give persons the same ids in the table and in the folders, then ingest again"
    )


def untaken_triggers(recordings: pd.DataFrame) -> str:
    """Text for the end of a message: triggers that did not become events; "" if there are none."""
    if "flags" not in recordings:
        return ""
    kinds = Counter(kind for flags in recordings["flags"] for kind in {flag.partition(":")[0] for flag in flags})
    return "".join(f"; {kinds[kind]} recordings have {what}" for kind, what in _UNTAKEN.items() if kinds[kind])
