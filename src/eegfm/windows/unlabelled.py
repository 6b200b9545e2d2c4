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
_OTHERS = ("age_not_understood", "sex_not_understood")


def label_faults(recordings: pd.DataFrame) -> str:
    """Text for the end of a message: faults of tables of persons according to the flags; "" if there are none."""
    if "flags" not in recordings:
        return ""
    counts = Counter(flag for flags in recordings["flags"] for flag in flags)
    return "".join(f"; {_fault(flag, n)}" for flag, n in sorted(counts.items()) if flag.startswith((_NOT_IN, *_OTHERS)))


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
