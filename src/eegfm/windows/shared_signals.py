"""Recordings that hold one signal under several names, found by the hashes of their channels."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import SplitError

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]

MAX_PERSONS = 10
"""A channel that more persons share is no trace of a person but an artefact, e.g. a calibration or a loose electrode
that reads the same everywhere: joining them all would empty the training set. It is counted and joins nobody."""
_N_SHORT = 16
_N_CHARACTERS = 32  # XXH3-128 in hexadecimal, see eegfm.signal.fingerprint


class ChannelHashes(NamedTuple):
    """First halves (64 bits) of the hashes of all channels of R recordings; flat channels have none.

    Args:
        values: (H,) halves of hashes.
        recordings: (H,) recording of each, 0 to R - 1, ascending.
    """

    values: Hashes
    recordings: Ints


class SharedSignals(NamedTuple):
    """What hashes say of recordings.

    Args:
        links: (L, 2) pairs of recordings of different persons that share a channel.
        degenerate: (D,) sorted hashes that more than ``MAX_PERSONS`` persons share.
    """

    links: Ints
    degenerate: Hashes


def channel_hashes(recording_ids: Sequence[str], hashes: Iterable[Any]) -> ChannelHashes:
    """Bring the column ``signal_hashes`` into arrays.

    Args:
        recording_ids: (R,) for messages.
        hashes: (R,) per recording, hexadecimal text per channel, "" for a flat one; or a missing value.

    Raises:
        SplitError: A text is no hash.
    """
    parts = [_halves(name, texts) for name, texts in zip(recording_ids, hashes, strict=True)]
    counts = np.array([len(part) for part in parts], dtype=np.int64)
    values = np.concatenate(parts) if parts else np.empty(0, dtype=np.uint64)
    return ChannelHashes(values, np.repeat(np.arange(len(parts)), counts))


def _halves(recording_id: str, texts: Any) -> Hashes:
    if not isinstance(texts, list | tuple | np.ndarray):
        return np.empty(0, dtype=np.uint64)
    try:
        content = bytes.fromhex("".join(texts))
        halves: Hashes = np.frombuffer(content, dtype=">u8").reshape(-1, 2)[:, 0].astype(np.uint64)
    except (ValueError, TypeError) as error:
        raise SplitError(
            f"recording {recording_id}: signal_hashes hold no hashes of {_N_CHARACTERS} hexadecimal digits ({error}); "
            "ingest its corpus again"
        ) from error
    return halves


def find_shared(hashes: ChannelHashes, persons: Ints) -> SharedSignals:
    """Find recordings of different persons that share a channel.

    Args:
        hashes: Of R recordings.
        persons: (R,) number of each recording's person.
    """
    values, recordings = _repeated(hashes)
    names, codes = np.unique(values, return_inverse=True)
    of_person = np.unique(np.stack([codes, persons[recordings]], axis=1), axis=0)
    degenerate = names[np.bincount(of_person[:, 0], minlength=len(names)) > MAX_PERSONS]
    is_link = (values[1:] == values[:-1]) & (persons[recordings[1:]] != persons[recordings[:-1]])
    is_link &= ~np.isin(values[1:], degenerate)
    links = np.stack([recordings[:-1][is_link], recordings[1:][is_link]], axis=1)
    return SharedSignals(np.unique(links, axis=0), degenerate)


def _repeated(hashes: ChannelHashes) -> ChannelHashes:
    """Hashes that occur more than once, ordered by hash and recording."""
    ordered = np.sort(hashes.values)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    place = np.searchsorted(repeated, hashes.values)
    chosen = (
        np.flatnonzero(np.append(repeated, repeated[-1:])[place] == hashes.values)
        if len(repeated)
        else np.empty(0, np.int64)
    )
    values, recordings = hashes.values[chosen], hashes.recordings[chosen]
    order = np.lexsort((recordings, values))
    return ChannelHashes(values[order], recordings[order])


def short_hashes(hashes: ChannelHashes, degenerate: Hashes, n_recordings: int) -> list[str]:
    """One hash per recording: the smallest of its channels in 16 hexadecimal digits, "" where there is none."""
    kept = ~np.isin(hashes.values, degenerate)
    values, recordings = hashes.values[kept], hashes.recordings[kept]
    smallest = np.full(n_recordings, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(smallest, recordings, values)
    has_any = np.bincount(recordings, minlength=n_recordings) > 0
    return [
        f"{value:0{_N_SHORT}x}" if known else ""
        for value, known in zip(smallest.tolist(), has_any.tolist(), strict=True)
    ]


def short_texts(texts: Iterable[str]) -> set[str]:
    """The hashes of all channels of a recording, as short as those of ``short_hashes``."""
    return {text[:_N_SHORT] for text in texts if text}
