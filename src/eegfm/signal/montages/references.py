"""The reference of a recording, from what its channel labels state."""

from collections.abc import Collection, Sequence

from eegfm.errors import RecordingError
from eegfm.recording import Montage, Reference
from eegfm.signal.montages.labels import GEODESIC_NAMES, Parsed, StatedReference
from eegfm.signal.montages.layouts import NOT_SCALP, Layout

EITHER: dict[Reference, frozenset[str]] = {
    "either_ear": frozenset({"A1", "A2"}),
    "either_mastoid": frozenset({"M1", "M2"}),
}
"""References where each channel is recorded against one of two electrodes, by those two."""
_EARS: dict[str, Reference] = {"A1": "A1", "A2": "A2", "M1": "M1", "M2": "M2"}
_MIDLINE = frozenset({"Fpz", "AFz", "Fz", "FCz", "Cz", "CPz", "Pz", "POz", "Oz", "Iz"})
"""Electrodes that recordings may have been made against."""
_LEAST_SHARED = 3
"""Least number of derivations that make their common second electrode the reference of the recording."""
_UNNAMED = frozenset({None, "unknown", "words"})


def recorded_reference(
    given: Reference | None, stated: Collection[StatedReference | None], layout: Layout
) -> tuple[Reference, tuple[str, ...]]:
    """The reference of a recording, and flags.

    Args:
        given: Reference that the configuration or a side file gives.
        stated: References that the labels state; None for labels without one.
        layout: Layout of the electrodes.

    Raises:
        RecordingError: Labels state an average, linked ears or one electrode, and another of these
            (``mixed_references``).
    """
    return _given(given, stated) if given else _inferred(set(stated), layout)


def against_a_reference(known: Sequence[Parsed]) -> dict[int, Parsed]:
    """Derivations that are one electrode against a reference: an ear or mastoid, or one electrode that all share.

    The channel of the shared electrode (``Cz``, ``Cz-Cz``) is left out: nothing says that it holds more than zeros.

    Args:
        known: What each label of a file says.

    Returns:
        What the labels of these derivations, and of the shared electrode, mean; by index.
    """
    pairs = {i: p.pair for i, p in enumerate(known) if p.pair and p.pair[0] != p.pair[1]}
    # E1-M2 of a sleep recording is an eye.
    ears = {i: pair for i, pair in pairs.items() if pair[1] in NOT_SCALP and pair[0] not in GEODESIC_NAMES}
    found = {i: Parsed("electrode", name, _EARS[ear], (name, ear)) for i, (name, ear) in ears.items()}
    firsts, seconds = {name for name, _ in pairs.values()}, {second for _, second in pairs.values()}
    alone = {i: p for i, p in enumerate(known) if p.name}
    is_shared = len(firsts) >= _LEAST_SHARED and len(seconds) == 1 and not seconds & firsts and seconds <= _MIDLINE
    if found or not is_shared or any({p.name} != seconds or p.reference not in _UNNAMED for p in alone.values()):
        return found
    reference: Reference = "Cz" if seconds == {"Cz"} else "unknown"
    electrodes = {i: Parsed("electrode", pair[0], reference, pair) for i, pair in pairs.items()}
    return electrodes | {i: Parsed("other") for i in alone}


def not_in_average(electrode: str | None, montage: Montage) -> tuple[str, ...]:
    """A flag for the electrode on the scalp that a recording was made against, if the average leaves it out.

    Its signal is zero, and counts in the average where the file holds it as a channel, or where it is Cz.
    """
    counts = electrode is None or electrode in NOT_SCALP or electrode in montage.channel_names
    return () if counts or electrode == montage.reference else (f"reference_not_in_average:{electrode}",)


def _given(given: Reference, stated: Collection[StatedReference | None]) -> tuple[Reference, tuple[str, ...]]:
    """The given reference, and a flag for each other reference in labels, because one of the two is wrong."""
    if given == "unknown":
        return given, ()
    alike = {given, *EITHER.get(given, ())}
    others = sorted(name for name in stated if name and name not in _UNNAMED | alike)
    return given, tuple(f"reference_differs:{name}" for name in others)


def _inferred(stated: set[StatedReference | None], layout: Layout) -> tuple[Reference, tuple[str, ...]]:
    """The one reference that all labels state, or the pair of ears or mastoids. A mixture is unknown and flagged."""
    ears = stated & frozenset().union(*EITHER.values())
    known = sorted(name for name in stated - ears if name and name != "words")
    if len(known) > 1:
        raise RecordingError(
            "mixed_references",
            f"channels are recorded against {' and '.join(known)}",
            "give the reference of the corpus explicitly if the labels are wrong, or leave the file out",
        )
    if stated == {None}:
        return ("Cz" if layout.startswith("gsn") else "unknown"), ()
    if stated <= _UNNAMED:
        return "unknown", ("reference_unknown",)
    if len(stated) == 1:
        (only,) = stated
        assert only is not None
        assert only != "words"
        return only, ()
    if not ears and "words" not in stated:
        return "unknown", ("reference_unknown",)  # some labels name it, others name none
    pair = next((name for name, both in EITHER.items() if stated <= both), None)
    mixture = sorted({"unnamed" if name in _UNNAMED else str(name) for name in stated})
    return pair or "unknown", (f"references_mixed:{'+'.join(mixture)}",)
