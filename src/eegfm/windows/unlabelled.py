"""Explain missing labels of recordings from their flags."""

from collections import Counter

import pandas as pd

_NOT_IN = "not_in_"
"""Start of the flag of a recording whose person is missing in a table; see ``eegfm.corpora.label_join``."""
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
