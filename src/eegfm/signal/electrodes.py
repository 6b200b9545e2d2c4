"""From channel labels to electrodes: cleaning names, ordering them, and placing them on the head."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal, NamedTuple

from eegfm.errors import RecordingError
from eegfm.recording import Montage, Reference

Layout = Literal["1005", "gsn129"]

MNE_MONTAGES: dict[Layout, str] = {"1005": "colin27_1005", "gsn129": "GSN-HydroCel-129"}
# The 10-20 system of 1958 and the 10-10 system name the same four places differently.
MODERN_NAMES = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
# MNE's 10-05 table holds the old names too; ears and mastoids carry no scalp signal.
NOT_SCALP = frozenset({"A1", "A2", "M1", "M2"})
# Electrodes that clinics use and the 10-05 system has no place for: anterior temporal (T1, T2), sphenoidal (SP) and
# nasopharyngeal (PG). FT9 and FT10 are near T1 and T2, but not there.
_WITHOUT_PLACE = frozenset({"T1", "T2", "SP1", "SP2", "PG1", "PG2"})
# TUH writes the average reference as REF and linked ears as LE.
REFERENCE_SUFFIXES: dict[str, Reference] = {
    "REF": "average",
    "AVG": "average",
    "LE": "linked_ears",
    "A1A2": "linked_ears",
    "A1+A2": "linked_ears",
}
_NOT_EEG = re.compile(
    # LOC and ROC are the left and right outer canthus; upper and lower are LUC, RLC and their mirror images.
    r"(?:EEG\s+)?(?:ECG|EKG|[HV]?EOG|[LR][OUL]C|EMG|RESP(?:IRATION)?|PULSE|PLETH|PHOTIC|IBI|BURSTS?|SUPPR|"
    r"STATUS|TRIGGER|STIM?|DIG|DC|EXG|GSR|TEMP|SAO2|SPO2|OSAT|ETCO2|CO2WAVE|REF_EEG|"
    r"EVENTS?|MARKERS?|ACC|GYRO)(?![A-Z])",
    re.IGNORECASE,
)
# Lists of notes that EDF+ and BDF+ store as if they were a channel.
_NOTES = re.compile(r"[EB]DF ANNOTATIONS", re.IGNORECASE)
_ONE_ELECTRODE = re.compile(r"(?:EEG\s+)?(?P<name>[A-Z]+\d*[A-Z]?)\.*(?:\s*-\s*(?P<other>\S+))?", re.IGNORECASE)
_GEODESIC = re.compile(r"E0*(\d{1,3})", re.IGNORECASE)
_BIOSEMI = re.compile(r"[A-H]\d{1,2}")


class Electrode(NamedTuple):
    """One electrode of a layout: its name, its place in store order, its position in the head frame."""

    name: str
    order: int
    position_m: tuple[float, float, float]


@dataclass(frozen=True)
class ResolvedChannels:
    """Which channels of a file are electrodes.

    Args:
        picks: Index into the file's labels of each channel, in the montage's order.
        montage: The electrodes, in the layout's own order whatever the order in the file.
        not_understood: Labels that are neither electrodes nor known to be something else.
        left_out: Labels known to be no single electrode with a place on the head: ECG, EOG, triggers, bipolar
            derivations, electrodes that the 10-05 system does not hold.
    """

    picks: tuple[int, ...]
    montage: Montage
    not_understood: tuple[str, ...]
    left_out: tuple[str, ...]


class _Parsed(NamedTuple):
    kind: Literal["electrode", "other", "unknown"]
    name: str = ""
    reference: Reference | None = None


@cache
def electrode_table(layout: Layout) -> dict[str, Electrode]:
    """All electrodes of a layout by canonical name; positions from MNE's montage, head frame, metres."""
    import mne

    montage = mne.channels.make_standard_montage(MNE_MONTAGES[layout])
    positions = mne.channels.transform_to_head(montage).get_positions()["ch_pos"]
    names = [name for name in montage.ch_names if name not in MODERN_NAMES]
    return {
        name: Electrode(name, order, (float(x), float(y), float(z)))
        for order, name in enumerate(names)
        for x, y, z in [positions[name]]
    }


@cache
def _canonical_names() -> dict[str, str]:
    """Upper-case name to canonical name, old names included, over both layouts."""
    names = {name.upper(): name for layout in MNE_MONTAGES for name in electrode_table(layout)}
    return names | MODERN_NAMES


def clean_label(label: str) -> str | None:
    """Canonical electrode name of a label, or None when it does not name one electrode.

    ``Fc5.`` is FC5, ``EEG FP1-REF`` is Fp1, ``EEG T3-LE`` is T7, ``E001`` is E1; ``ECG``, ``A2-A1`` and
    whatever no table holds are None.
    """
    return _parse(label).name or None


@lru_cache(maxsize=4096)
def _parse(label: str) -> _Parsed:
    text = label.strip()
    if _NOT_EEG.match(text):
        return _Parsed("other")
    match = _ONE_ELECTRODE.fullmatch(text)
    if match is None:
        return _Parsed("unknown")
    name, other = _canonical(match["name"]), match["other"]
    if not _is_electrode(match["name"]):
        return _Parsed("unknown")
    if other is None or other.upper() in REFERENCE_SUFFIXES:
        reference = REFERENCE_SUFFIXES[other.upper()] if other else None
        return _Parsed("electrode", name, reference) if name else _Parsed("other")
    # Two electrodes are a bipolar derivation: known, but at no single place.
    return _Parsed("other" if _is_electrode(other.rstrip(".")) else "unknown")


def _is_electrode(text: str) -> bool:
    return _canonical(text) is not None or text.upper() in _WITHOUT_PLACE


def _canonical(text: str) -> str | None:
    geodesic = _GEODESIC.fullmatch(text)
    if geodesic:
        # The 129th electrode of the net is the vertex, its reference.
        text = "Cz" if geodesic[1] == "129" else f"E{int(geodesic[1])}"
    return _canonical_names().get(text.upper())


def duplicate_electrodes(labels: Sequence[str]) -> tuple[str, ...]:
    """Electrodes that more than one label names, spelling and reference aside."""
    counts = Counter(name for label in labels if (name := clean_label(label)))
    return tuple(sorted(name for name, n in counts.items() if n > 1))


def resolve_channels(labels: Sequence[str], layout: Layout, reference: Reference | None = None) -> ResolvedChannels:
    """Find the electrodes among a file's labels and order them as the layout does.

    Args:
        labels: Labels as written in the file.
        layout: Which electrodes exist: the 10-05 system or the 129-channel HydroCel net.
        reference: What was recorded against; inferred from the labels when not given.

    Raises:
        RecordingError: No electrode at all (``no_eeg``), one electrode twice (``duplicate_label``), or
            labels of different references (``mixed_references``).
    """
    parsed = [_unless_biosemi(label, labels, layout) for label in labels]
    table = electrode_table(layout)
    found = [i for i, p in enumerate(parsed) if p.name in table]
    if not found:
        raise RecordingError(
            "no_eeg",
            f"no electrode of layout {layout!r} among the labels {', '.join(labels)[:200]}",
            "name another layout, or leave the file out",
        )
    twice = duplicate_electrodes([labels[i] for i in found])
    if twice:
        raise _duplicates(twice)
    picks = sorted(found, key=lambda i: table[parsed[i].name].order)
    electrodes = [table[parsed[i].name] for i in picks]
    montage = Montage(
        channel_names=tuple(e.name for e in electrodes),
        positions_m=tuple(e.position_m for e in electrodes),
        is_scalp=tuple(e.name not in NOT_SCALP for e in electrodes),
        reference=reference or _inferred_reference([parsed[i] for i in picks], layout),
    )
    pairs = zip(labels, parsed, strict=True)
    rest = [(label, p) for label, p in pairs if p.name not in table and not _NOTES.fullmatch(label.strip())]
    return ResolvedChannels(
        picks=tuple(picks),
        montage=montage,
        not_understood=tuple(label for label, p in rest if p.kind != "other"),
        left_out=tuple(label for label, p in rest if p.kind == "other"),
    )


def _duplicates(names: Sequence[str]) -> RecordingError:
    return RecordingError(
        "duplicate_label",
        f"more than one channel is named {', '.join(names)}",
        "rename or remove the extra channel; which one is meant cannot be known",
    )


def _unless_biosemi(label: str, labels: Sequence[str], layout: Layout) -> _Parsed:
    """Parse a label, except that C3 of BioSemi's radial naming (A1-A32, B1-B32, …) is not the C3 of 10-20."""
    if layout == "1005" and _is_biosemi(tuple(labels)) and _BIOSEMI.fullmatch(label.strip()):
        return _Parsed("unknown")
    return _parse(label)


@lru_cache(maxsize=64)
def _is_biosemi(labels: tuple[str, ...]) -> bool:
    return {"A3", "B1"} <= {label.strip() for label in labels}


def _inferred_reference(parsed: Sequence[_Parsed], layout: Layout) -> Reference:
    references = {p.reference for p in parsed}
    known = sorted(r for r in references if r)
    if len(known) > 1:
        raise RecordingError(
            "mixed_references",
            f"channels are recorded against {' and '.join(known)}",
            "give the reference of the corpus explicitly if the labels are wrong, or leave the file out",
        )
    if layout == "gsn129" and not known:
        return "Cz"
    return known[0] if known and references == set(known) else "unknown"
