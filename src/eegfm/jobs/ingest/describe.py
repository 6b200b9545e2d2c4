"""Describe a corpus in its store: outcomes, montages, channel labels, power spectrum."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from eegfm.jobs.ingest.tables import ingest_summary
from eegfm.plots.figures import spectrum_figure
from eegfm.store.reader import SignalStore

PIECE_S = 4.0
PIECES_PER_RECORDING = 8
RECORDINGS_PER_MONTAGE = 64
QUANTILES = {"p10": 0.1, "median": 0.5, "p90": 0.9}


@dataclass(frozen=True)
class Description:
    """Tables and a figure about one corpus.

    Args:
        ingest_summary: See ``eegfm.jobs.ingest.tables.ingest_summary``.
        montages: One row per montage and recorded rate: channels, reference, recordings, persons, hours.
        unknown_channels: One row per channel label that is no electrode: number of recordings, and whether it is a
            known other channel (``left_out``) or unknown (``not_understood``).
        spectrum: Power spectral density of each montage.
    """

    ingest_summary: pd.DataFrame
    montages: pd.DataFrame
    unknown_channels: pd.DataFrame
    spectrum: go.Figure


def describe(store: SignalStore, recordings: pd.DataFrame, file_outcomes: pd.DataFrame, corpus: str) -> Description:
    """Describe a corpus. Signals are read for the spectrum only, and only from some recordings."""
    return Description(
        ingest_summary=ingest_summary(file_outcomes, recordings),
        montages=montages_table(recordings),
        unknown_channels=unknown_channels_table(recordings),
        spectrum=spectrum_figure(spectrum_table(store, recordings), corpus, simulated=store.is_simulated),
    )


def montages_table(recordings: pd.DataFrame) -> pd.DataFrame:
    """Recordings by montage and recorded rate."""
    table = recordings.assign(hours=recordings["n_samples"] / recordings["rate_hz"] / 3600)
    groups = table.groupby(["montage", "n_channels", "reference", "original_rate_hz", "rate_hz"])
    counts = groups.agg(
        recordings=("recording_id", "size"), persons=("person", "nunique"), hours=("hours", "sum")
    ).reset_index()
    return counts.round({"hours": 2})


def unknown_channels_table(recordings: pd.DataFrame) -> pd.DataFrame:
    """Channel labels that are no electrode, the most frequent first."""
    rows = []
    for kind in ("not_understood", "left_out"):
        counts = recordings[f"labels_{kind}"].explode().dropna().value_counts()
        rows += [{"label": str(label), "kind": kind, "recordings": int(n)} for label, n in counts.items()]
    table = pd.DataFrame(rows, columns=["label", "kind", "recordings"])
    return table.astype({"label": "str", "kind": "str", "recordings": "int64"})


def spectrum_table(store: SignalStore, recordings: pd.DataFrame) -> pd.DataFrame:
    """Power spectral density over recordings and good scalp channels, as stored: filtered, not re-referenced.

    Welch's estimate with Hann windows of four seconds without overlap, from pieces spread over a recording.

    Returns:
        Columns montage, frequency_hz, p10, median, p90 in µV²/Hz, n_recordings.
    """
    tables = []
    for montage, chosen in _described(recordings):
        scalp = np.array(store.montages[montage].is_scalp)
        densities = [_density(store, row, scalp) for row in chosen]
        found = np.concatenate([d for d in densities if d.size] or [np.empty((0, _n_bins(store.rate_hz)))])
        if not len(found):
            continue
        table = pd.DataFrame({name: np.quantile(found, q, axis=0) for name, q in QUANTILES.items()})
        table.insert(0, "montage", montage)
        table.insert(1, "frequency_hz", np.fft.rfftfreq(_piece(store.rate_hz), 1 / store.rate_hz))
        tables.append(table.assign(n_recordings=sum(bool(d.size) for d in densities)))
    columns = ["montage", "frequency_hz", *QUANTILES, "n_recordings"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def read_described(store: SignalStore, recordings: pd.DataFrame) -> None:
    """Read the samples of the spectrum, so that damage is found.

    Raises:
        StoreError: Samples differ from their checksums.
    """
    for _, chosen in _described(recordings):
        for row in chosen:
            _pieces(store, row)


def _described(recordings: pd.DataFrame) -> Iterator[tuple[str, list[dict[Hashable, Any]]]]:
    """Montages, and rows of the recordings that represent each montage in the spectrum."""
    for montage, group in recordings.groupby("montage") if len(recordings) else ():
        # Take recordings evenly in id order, so that every run takes the same.
        chosen = np.unique(np.linspace(0, len(group) - 1, RECORDINGS_PER_MONTAGE).astype(int))
        yield str(montage), group.iloc[chosen].to_dict("records")


def _piece(rate_hz: float) -> int:
    return round(PIECE_S * rate_hz)


def _n_bins(rate_hz: float) -> int:
    return _piece(rate_hz) // 2 + 1


def _pieces(store: SignalStore, recording: Mapping[Hashable, Any]) -> tuple[NDArray[np.int16], int]:
    """(N, T, C) samples of pieces spread over the segments of one recording, and its row of the scales."""
    n, montage = _piece(store.rate_hz), str(recording["montage"])
    spans = zip(recording["segment_starts"], recording["segment_stops"], strict=True)
    firsts = np.concatenate([np.arange(start, stop - n + 1, n) for start, stop in spans]).astype(np.int64)
    if len(firsts):
        firsts = firsts[np.unique(np.linspace(0, len(firsts) - 1, PIECES_PER_RECORDING).astype(int))]
    ids = [str(recording["recording_id"])] * len(firsts)
    rows, scale_rows = store.locate(montage, ids, firsts, n)
    return store.gather(montage, rows, n), int(scale_rows[0]) if len(firsts) else 0


def _density(store: SignalStore, recording: Mapping[Hashable, Any], scalp: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(C, F) density of the scalp channels of one recording, without bad and flat channels."""
    n, montage = _piece(store.rate_hz), str(recording["montage"])
    pieces, scale_row = _pieces(store, recording)
    if not len(pieces):
        return np.empty((0, n // 2 + 1))
    shown = scalp & ~store.is_bad(montage)[scale_row]
    signal_uv = pieces[:, :, shown] * store.scales(montage)[scale_row][shown]
    window = np.hanning(n)
    spectra = np.fft.rfft((signal_uv - signal_uv.mean(axis=1, keepdims=True)) * window[:, None], axis=1)
    power = 2 * (np.abs(spectra) ** 2).mean(axis=0).T / (store.rate_hz * (window**2).sum())
    return np.asarray(power[signal_uv.any(axis=(0, 1))])
