"""Small recordings and events tables as the ingestion of a TUH corpus writes them, and labels sample by sample."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

RATE_HZ = 10.0
"""Low, so that labels can be counted sample by sample."""


def recordings_table(
    segments: Sequence[Sequence[tuple[int, int]]], family: str = "", rate_hz: float = RATE_HZ, **columns: object
) -> pd.DataFrame:
    """One recording per list of segments [start, stop)."""
    n = len(segments)
    table = pd.DataFrame(
        {
            "recording_id": [f"tuh:r{k:03d}" for k in range(n)],
            "corpus": "tuh",
            "person": [f"tuh:p{k}" for k in range(n)],
            "montage": "m",
            "run": [f"t{k:03d}" for k in range(n)],
            "rate_hz": rate_hz,
            "segment_starts": [[a for a, _ in s] for s in segments],
            "segment_stops": [[b for _, b in s] for s in segments],
        }
    )
    return table.assign(**({"family": family} if family else {}), **columns)


Row = tuple[int, float, float, str, str] | tuple[int, float, float, str, str, str]
"""Recording, start and stop in seconds, label, channel, kind of file (``csv``)."""


def events_table(rows: Iterable[Row], source: str = "csv") -> pd.DataFrame:
    """Annotations as rows of the events table."""
    columns = ["recording_id", "onset_s", "duration_s", "value", "channel", "source"]
    full = [(*row, source)[:6] for row in rows]
    data = [
        (f"tuh:r{r:03d}", start, stop - start, value, channel, kind) for r, start, stop, value, channel, kind in full
    ]
    texts = dict.fromkeys(("recording_id", "value", "channel", "source"), "str")
    return pd.DataFrame(data, columns=columns).astype({**texts, "onset_s": "float64", "duration_s": "float64"})


def marked(rows: Iterable[Row], recording: int, labels: Iterable[str], n_samples: int, channel: str = "") -> NDArray:
    """(T,) whether each sample lies in an event with one of the labels, on one channel or on any."""
    wanted, mask = set(labels), np.zeros(n_samples, dtype=bool)
    for r, start, stop, value, where, *_ in rows:
        if r == recording and value in wanted and channel in ("", where):
            mask[round(start * RATE_HZ) : round(stop * RATE_HZ)] = True
    return mask
