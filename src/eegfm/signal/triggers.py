"""Find events in a channel of trigger codes. A code is a whole number that the channel holds for a while."""

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_LABEL = re.compile(
    r"(?:[EB]DF\s+)?(?:STATUS|TRIG(?:GER)?S?|STIM?(?:ULUS)?|MARKERS?|EVENTS?(?:\s+MARKERS?)?)[\s_.-]*\d*", re.IGNORECASE
)
# Labels of a channel that holds all codes come before those that may hold one line of several.
_PREFERRED = ("STATUS", "STI014", "STI101")
LOWER_BYTE = 0xFF
MIN_REST_RATIO = 0.01
"""Least share of the time that a code lasts that tells of the resting level."""


def names_triggers(label: str) -> bool:
    """True if a channel's label says that it holds triggers."""
    return _LABEL.fullmatch(label.strip()) is not None


def preference(label: str) -> int:
    """Rank of a trigger channel among those of its file, the first one being 0."""
    name = re.sub(r"^[EB]DF\s+|[\s_.-]", "", label.strip().upper())
    return _PREFERRED.index(name) if name in _PREFERRED else len(_PREFERRED)


class CodeRuns(NamedTuple):
    """A stretch without gaps, cut where its code changes.

    Args:
        starts: (n,) first sample of each run.
        codes: (n,) its code; neighbours differ.
        stop: Sample after the last run.
    """

    starts: NDArray[np.int64]
    codes: NDArray[np.int64]
    stop: int

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n,) samples of each run."""
        return np.diff(self.starts, append=self.stop)


class CodeEvents(NamedTuple):
    """Events of one stretch.

    Args:
        starts: (n,) first sample of each code.
        lengths: (n,) samples that it lasts.
        codes: (n,) the codes.
        n_steps: Codes of one sample that are left out, because the lines of a code switched one after the other.
    """

    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    codes: NDArray[np.int64]
    n_steps: int


def events_in(stretches: list[CodeRuns]) -> list[CodeEvents]:
    """Events of all stretches of a recording.

    Bits that are set all the time are the resting level. If the channel is at rest for half of the time or longer,
    codes are pulses: an event is a change by which a bit rises, or that ends the rest. Otherwise each code is held
    until the next one: an event is a change to any code but 0, or but the upper byte of an idle BioSemi box. A code
    that is there at the first sample of a stretch began at an unknown time before it, and is no event.
    """
    settled = [_without_steps(runs) for runs in stretches]
    codes = np.concatenate([runs.codes for runs in settled] or [np.empty(0, np.int64)])
    lengths = np.concatenate([runs.lengths for runs in settled] or [np.empty(0, np.int64)])
    rest = _resting_code(codes, lengths)
    are_pulses = 2 * int(lengths[codes == rest].sum()) >= int(lengths.sum())
    # Among codes that are held, bits of the lower byte are part of a code and no resting level.
    idle = rest if are_pulses or rest & LOWER_BYTE == 0 else 0
    found = []
    for before, runs in zip(stretches, settled, strict=True):
        here, last = runs.codes[1:], runs.codes[:-1]
        is_event = here != idle
        if are_pulses:
            is_event &= ((here & ~last) != 0) | (last == rest)
        at = np.flatnonzero(is_event) + 1
        n_steps = len(before.codes) - len(runs.codes)
        found.append(CodeEvents(runs.starts[at], runs.lengths[at], runs.codes[at], n_steps))
    return found


def _without_steps(runs: CodeRuns) -> CodeRuns:
    """Leave out codes of one sample between two others, all of whose bits are those of one or the other."""
    before, here, after = runs.codes[:-2], runs.codes[1:-1], runs.codes[2:]
    is_between = ((before ^ here) & ~(before ^ after)) == 0
    is_step = np.zeros(len(runs.codes), dtype=np.bool_)
    is_step[1:-1] = (runs.lengths[1:-1] == 1) & (before != after) & is_between
    return CodeRuns(runs.starts[~is_step], runs.codes[~is_step], runs.stop)


def _resting_code(codes: NDArray[np.int64], lengths: NDArray[np.int64]) -> int:
    """Bits that are set in every code that lasts for a part of the time worth mentioning."""
    kinds, place = np.unique(codes, return_inverse=True)
    totals = np.bincount(place, weights=lengths)
    usual = kinds[totals >= MIN_REST_RATIO * lengths.sum()]
    return int(np.bitwise_and.reduce(usual)) if len(usual) else 0
