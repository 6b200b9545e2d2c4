"""Refuse a stored rate above all rates before a store is emptied for it."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from eegfm.errors import StoreError
from eegfm.jobs.ingest.stored_rate import MAX_CLOCK_ERROR_RATIO, UPSAMPLED, refuse_all_upsampled
from eegfm.signal.config import SignalParams
from eegfm.store.layout import STORE_FILE
from eegfm.store.reader import SignalStore


def refuse_rate_above_stored(folder: Path, signal: SignalParams, wanted: Collection[str], corpus: str) -> None:
    """Refuse such a rate if the store knows all recordings.

    Args:
        folder: The store.
        signal: The new parameters.
        wanted: Ids of the recordings that the store shall have.
        corpus: Name of the corpus.

    Raises:
        EegfmError: As ``refuse_all_upsampled``.
    """
    if not (folder / STORE_FILE).exists():
        return
    try:
        facts = {entry.recording_id: entry.facts for entry in SignalStore(folder).entries}
    except StoreError:
        return  # a store that cannot be read starts empty in any case
    if not facts or not set(wanted) <= facts.keys():
        return
    rates_hz = [facts[name]["original_rate_hz"] for name in wanted]
    if rates_hz and max(rates_hz) < signal.rate_hz * (1 - MAX_CLOCK_ERROR_RATIO):
        flags = [[f"{UPSAMPLED}:{rate_hz:g}"] for rate_hz in rates_hz]
        rows = {"original_rate_hz": rates_hz, "rate_hz": [signal.rate_hz] * len(flags), "flags": flags}
        refuse_all_upsampled(pd.DataFrame(rows), corpus)
