"""Small tables as ingest would write them."""

from collections.abc import Callable, Sequence

import pandas as pd
import pytest


def make_recordings(
    segments: Sequence[Sequence[tuple[int, int]]],
    *,
    persons: Sequence[str] | None = None,
    corpus: str = "c",
    rate_hz: float = 100.0,
    **columns: Sequence[object],
) -> pd.DataFrame:
    n = len(segments)
    names = list(persons) if persons is not None else [f"{corpus}:p{k}" for k in range(n)]
    table = pd.DataFrame(
        {
            "recording_id": [f"{corpus}:r{k:03d}" for k in range(n)],
            "corpus": corpus,
            "person": names,
            "montage": "2ch",
            "task": "RestingState",
            "run": "",
            "rate_hz": rate_hz,
            "n_samples": [max((stop for _, stop in s), default=0) for s in segments],
            "segment_starts": [[a for a, _ in s] for s in segments],
            "segment_stops": [[b for _, b in s] for s in segments],
            "official_split": "",
        }
    )
    return table.assign(**columns)


def make_events(rows: Sequence[tuple[str, float, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["recording_id", "onset_s", "value"])


@pytest.fixture
def recordings() -> Callable[..., pd.DataFrame]:
    return make_recordings


@pytest.fixture
def events() -> Callable[..., pd.DataFrame]:
    return make_events
