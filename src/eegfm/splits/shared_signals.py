"""Find recordings that hold one signal under several names, by the hashes of their channels."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import SplitError

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]

MAX_PERSONS = 10
"""A channel that more persons share is an artefact, e.g. a calibration or a loose electrode that reads the same
everywhere. If it joined all these persons, the training set would be empty. It is counted and joins nobody, with one
exception: recordings with no other channel are copies of one recording."""
_N_SHORT_DIGITS = 16
N_SHORT = 4
"""Number of channels per recording whose hashes a checkpoint keeps."""
_N_CHARACTERS = 32  # XXH3-128 in hexadecimal, see eegfm.signal.processing.fingerprint


class ChannelHashes(NamedTuple):
    """First halves (64 bits) of the hashes of all channels of R recordings; flat channels have none.

    Args:
        values: (H,) halves of hashes.
        recordings: (H,) recording of each, 0 to R - 1, ascending.
    """

    values: Hashes
    recordings: Ints


class SharedSignals(NamedTuple):
    """Pairs of recordings with a common signal.

    Args:
        links: (L, 2) pairs of recordings of different persons that share a channel.
        degenerate: (D,) sorted hashes that more than ``MAX_PERSONS`` persons share.
    """

    links: Ints
    degenerate: Hashes


def channel_hashes(recording_ids: Sequence[str], hashes: Iterable[Any]) -> ChannelHashes:
    """Bring the column ``signal_hashes`` into arrays.

    Args:
        recording_ids: (R,) ids for messages.
        hashes: (R,) per recording, one hexadecimal text per channel ("" for a flat channel), or a missing value.

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
        hashes: Hashes of the channels of R recordings.
        persons: (R,) number of each recording's person.
    """
    values, recordings = _repeated(hashes)
    names, codes = np.unique(values, return_inverse=True)
    of_person = np.unique(np.stack([codes, persons[recordings]], axis=1), axis=0)
    degenerate = names[np.bincount(of_person[:, 0], minlength=len(names)) > MAX_PERSONS]
    is_copy = _is_copy(hashes, degenerate, len(persons))
    order = np.lexsort((recordings, is_copy[recordings], values))
    values, recordings = values[order], recordings[order]
    is_link = (values[1:] == values[:-1]) & (persons[recordings[1:]] != persons[recordings[:-1]])
    is_link &= ~np.isin(values[1:], degenerate) | (is_copy[recordings[1:]] & is_copy[recordings[:-1]])
    links = np.stack([recordings[:-1][is_link], recordings[1:][is_link]], axis=1)
    return SharedSignals(np.unique(links, axis=0), degenerate)


def _is_copy(hashes: ChannelHashes, degenerate: Hashes, n_recordings: int) -> NDArray[np.bool_]:
    """(R,) True for a recording without a channel of its own. Such a recording was copied as a whole."""
    is_own = ~np.isin(hashes.values, degenerate)
    n_own = np.bincount(hashes.recordings[is_own], minlength=n_recordings)
    n_all = np.bincount(hashes.recordings, minlength=n_recordings)
    is_copy: NDArray[np.bool_] = (n_own == 0) & (n_all > 0)
    return is_copy


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
    """The smallest hashes of each recording, in 16 hexadecimal digits, separated by blanks; "" if there is none.

    Several hashes are kept, so that a copy without one of the channels is still recognised.
    """
    kept = ~np.isin(hashes.values, degenerate) | _is_copy(hashes, degenerate, n_recordings)[hashes.recordings]
    values, recordings = hashes.values[kept], hashes.recordings[kept]
    order = np.lexsort((values, recordings))
    values, recordings = values[order], recordings[order]
    nth = np.arange(len(values)) - np.searchsorted(recordings, recordings)
    found: list[list[str]] = [[] for _ in range(n_recordings)]
    for value, recording in zip(values[nth < N_SHORT].tolist(), recordings[nth < N_SHORT].tolist(), strict=True):
        found[recording].append(f"{value:0{_N_SHORT_DIGITS}x}")
    return [" ".join(shorts) for shorts in found]


def short_texts(texts: Iterable[str]) -> set[str]:
    """The hashes of all channels of a recording, as short as those of ``short_hashes``."""
    return {text[:_N_SHORT_DIGITS] for text in texts if text}
