"""Turn channel labels into electrodes: clean the names, order them, look up their positions."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal, NamedTuple

from eegfm.errors import RecordingError
from eegfm.recording import Montage, Reference
from eegfm.signal.text import stripped

# fmt: off
Layout = Literal[
    "1005",
    "gsn32", "gsn64", "gsn65", "gsn128", "gsn129", "gsn256", "gsn257",
    "biosemi16", "biosemi32", "biosemi64", "biosemi128", "biosemi160", "biosemi256",
]
# fmt: on
"""Electrode layouts: the 10-05 system, EGI's HydroCel geodesic nets, BioSemi's caps.

BioSemi's caps of 16, 32 and 64 have names of the 10-20 system at BioSemi's own positions. The larger caps are named
radially from the vertex (A1).
"""

MNE_MONTAGES: dict[Layout, str] = {
    "1005": "colin27_1005",
    "gsn32": "GSN-HydroCel-32",
    "gsn64": "GSN-HydroCel-64_1.0",
    "gsn65": "GSN-HydroCel-65_1.0",
    "gsn128": "GSN-HydroCel-128",
    "gsn129": "GSN-HydroCel-129",
    "gsn256": "GSN-HydroCel-256",
    "gsn257": "GSN-HydroCel-257",
    "biosemi16": "biosemi16",
    "biosemi32": "biosemi32",
    "biosemi64": "biosemi64",
    "biosemi128": "biosemi128",
    "biosemi160": "biosemi160",
    "biosemi256": "biosemi256",
}
_RADIAL_LAYOUTS = frozenset({"biosemi128", "biosemi160", "biosemi256"})
# The 10-20 system of 1958 and the 10-10 system have different names for the same four positions.
MODERN_NAMES = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
# Ears and mastoids carry no scalp signal. (A1 and A2 of a radial layout are at the vertex.)
NOT_SCALP = frozenset({"A1", "A2", "M1", "M2"})
# Clinical electrodes without a position in the 10-05 system: anterior temporal (T1, T2), sphenoidal (SP) and
# nasopharyngeal (PG). FT9 and FT10 are near T1 and T2, but not at the same positions.
_WITHOUT_PLACE = frozenset({"T1", "T2", "SP1", "SP2", "PG1", "PG2"})
# REF means an unnamed reference. TUH writes it for the average, other recorders for their own reference.
REFERENCE_SUFFIXES: dict[str, Reference] = {
    "REF": "unknown",
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
# Annotation lists that EDF+ and BDF+ store as a channel.
_NOTES = re.compile(r"[EB]DF\s+ANNOTATIONS", re.IGNORECASE)
_ONE_ELECTRODE = re.compile(r"(?:EEG\s+)?(?P<name>[A-Z]+\d*[A-Z]?)\.*(?:\s*-\s*(?P<other>\S+))?", re.IGNORECASE)
_GEODESIC = re.compile(r"E0*(\d{1,3})", re.IGNORECASE)
_RADIAL = re.compile(r"[A-H](?:[1-9]|[12]\d|3[0-2])")
_GEODESIC_NAMES = {f"E{k}": f"E{k}" for k in range(1, 257)}
_LARGE_NET = frozenset(f"E{k}" for k in range(130, 257))
_VERTEX = "Cz"


class Electrode(NamedTuple):
    """One electrode of a layout: its name, its rank in store order, its position in the head frame."""

    name: str
    order: int
    position_m: tuple[float, float, float]


@dataclass(frozen=True)
class ResolvedChannels:
    """Channels of a file that are electrodes.

    Args:
        picks: Index into the file's labels of each channel, in the montage's order.
        montage: The electrodes, in the layout's own order whatever the order in the file.
        not_understood: Labels that are neither electrodes nor known as other channels.
        left_out: Labels known to be no single electrode with a position on the head: ECG, EOG, triggers, bipolar
            derivations, electrodes that the 10-05 system does not hold.
        flags: ``reference_unknown`` if labels have an unnamed reference; ``reference_differs:<reference>`` if they name
            another reference than the given one.
    """

    picks: tuple[int, ...]
    montage: Montage
    not_understood: tuple[str, ...]
    left_out: tuple[str, ...]
    flags: tuple[str, ...] = ()


class _Parsed(NamedTuple):
    kind: Literal["electrode", "other", "unknown"]
    name: str = ""
    reference: Reference | None = None


@cache
def electrode_table(layout: Layout) -> dict[str, Electrode]:
    """All electrodes of a layout by canonical name; positions from MNE's montage, head frame, metres.

    MNE's 10-05 table also holds the old names. Here every position occurs once, by its modern name.
    """
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
def _canonical_names(layout: Layout | None) -> dict[str, str]:
    """Upper-case name to canonical name, old names included.

    Without a layout, these are the names of the 10-05 system and of the geodesic nets. Radial names are left out,
    because C3 would then have two positions.
    """
    names = {name.upper(): name for name in electrode_table(layout or "1005")}
    if layout is None:
        return names | MODERN_NAMES | _GEODESIC_NAMES | {"E129": _VERTEX, "E257": _VERTEX}
    if layout.startswith("gsn"):
        # A net numbers its vertex, the reference, as the electrode after the last.
        return names | ({f"E{len(names)}": _VERTEX} if _VERTEX in names.values() else {})
    return names | {old: new for old, new in MODERN_NAMES.items() if new in names.values()}


def clean_label(label: str, layout: Layout | None = None) -> str | None:
    """Canonical electrode name of a label, or None when it does not name one electrode.

    ``Fc5.`` is FC5, ``EEG FP1-REF`` is Fp1, ``EEG T3-LE`` is T7, ``E001`` is E1. ``ECG``, ``A2-A1`` and labels that are
    in no table give None.

    Args:
        label: Label as written in a file.
        layout: Layout of the electrodes. Without one, the 10-05 system and the geodesic nets count; E129 is then the
            vertex, as in the net of 129.
    """
    return _parse(label, layout).name or None


def ten_twenty_names(labels: Sequence[str]) -> tuple[str | None, ...]:
    """10-05 name of each label of one file; None if there is none, e.g. for C3 of a radially named cap."""
    return tuple(p.name or None for p in _parsed(labels, "1005"))


@lru_cache(maxsize=8192)
def _parse(label: str, layout: Layout | None) -> _Parsed:
    text = stripped(label)
    if _NOT_EEG.match(text):
        return _Parsed("other")
    match = _ONE_ELECTRODE.fullmatch(text)
    if match is None or not _is_electrode(match["name"], layout):
        return _Parsed("unknown")
    name, other = _canonical(match["name"], layout), match["other"]
    if other is None or other.upper() in REFERENCE_SUFFIXES:
        if name:
            return _Parsed("electrode", name, REFERENCE_SUFFIXES[other.upper()] if other else None)
        # An electrode of another layout is a mistake. An electrode without a position is not.
        return _Parsed("other" if match["name"].upper() in _WITHOUT_PLACE else "unknown")
    # Two electrodes form a bipolar derivation, which is known but has no single position.
    return _Parsed("other" if _is_electrode(other.rstrip("."), layout) else "unknown")


def _is_electrode(text: str, layout: Layout | None) -> bool:
    """Whether any possible layout has this electrode."""
    return bool(_canonical(text, layout) or _canonical(text, None)) or text.upper() in _WITHOUT_PLACE


def _canonical(text: str, layout: Layout | None) -> str | None:
    geodesic = _GEODESIC.fullmatch(text) if layout not in _RADIAL_LAYOUTS else None
    return _canonical_names(layout).get(f"E{int(geodesic[1])}" if geodesic else text.upper())


def is_annotation_label(label: str) -> bool:
    """Whether a channel of this label holds the annotation lists of EDF+ or BDF+. Case and blanks do not count."""
    return _NOTES.fullmatch(stripped(label)) is not None


def duplicate_electrodes(labels: Sequence[str]) -> tuple[str, ...]:
    """Electrodes with more than one label, regardless of spelling and reference."""
    names = [clean_label(label) for label in labels]
    if _LARGE_NET & set(names):
        # Beside E130 and above, E129 is an electrode like any other and not the vertex.
        names = [clean_label(label, "gsn257") or name for label, name in zip(labels, names, strict=True)]
    return _repeated(names)


def _repeated(names: Iterable[str | None]) -> tuple[str, ...]:
    counts = Counter(name for name in names if name)
    return tuple(sorted(name for name, n in counts.items() if n > 1))


def resolve_channels(
    labels: Sequence[str], layout: Layout, reference: Reference | None = None, meaning_of_ref: Reference = "unknown"
) -> ResolvedChannels:
    """Find the electrodes among a file's labels and order them as the layout does.

    Args:
        labels: Labels as written in the file.
        layout: Layout of the electrodes.
        reference: Reference of the recording; inferred from the labels if not given.
        meaning_of_ref: Reference of channels whose labels end in ``-REF``.

    Raises:
        RecordingError: No electrode at all (``no_eeg``), one electrode twice (``duplicate_label``), or
            labels of different references (``mixed_references``).
    """
    parsed = _parsed(labels, layout)
    table = electrode_table(layout)
    found = [i for i, p in enumerate(parsed) if p.name in table]
    if not found:
        raise RecordingError(
            "no_eeg",
            f"no electrode of layout {layout!r} among the labels {', '.join(labels)[:200]}",
            "name another layout, or leave the file out",
        )
    twice = _repeated(parsed[i].name for i in found)
    if twice:
        raise _duplicates(twice)
    picks = sorted(found, key=lambda i: table[parsed[i].name].order)
    electrodes = [table[parsed[i].name] for i in picks]
    stated = {meaning_of_ref if (r := parsed[i].reference) == "unknown" else r for i in picks}
    recorded_against, flags = _given_reference(reference, stated) if reference else _inferred_reference(stated, layout)
    montage = Montage(
        channel_names=tuple(e.name for e in electrodes),
        positions_m=tuple(e.position_m for e in electrodes),
        is_scalp=is_scalp([e.name for e in electrodes], layout),
        reference=recorded_against,
    )
    pairs = zip(labels, parsed, strict=True)
    rest = [(label, p) for label, p in pairs if p.name not in table and not is_annotation_label(label)]
    return ResolvedChannels(
        picks=tuple(picks),
        montage=montage,
        not_understood=tuple(label for label, p in rest if p.kind != "other"),
        left_out=tuple(label for label, p in rest if p.kind == "other"),
        flags=flags,
    )


def _duplicates(names: Sequence[str]) -> RecordingError:
    return RecordingError(
        "duplicate_label",
        f"more than one channel is named {', '.join(names)}",
        "rename or remove the extra channel; which one is meant cannot be known",
    )


def is_scalp(names: Iterable[str], layout: Layout) -> tuple[bool, ...]:
    """Per electrode of a layout, whether it lies on the scalp, and not on or behind an ear."""
    return tuple(layout in _RADIAL_LAYOUTS or name not in NOT_SCALP for name in names)


def _parsed(labels: Sequence[str], layout: Layout) -> list[_Parsed]:
    """Parse all labels. A name that two systems share is unknown if the file uses the other system.

    C3 of BioSemi's radial naming (A1-A32, B1-B32, …) is not the C3 of 10-20.
    """
    parsed = [_parse(label, layout) for label in labels]
    if (layout in _RADIAL_LAYOUTS) == _is_radial(tuple(labels)):
        return parsed
    is_shared = [
        _RADIAL.fullmatch(stripped(label)) or _RADIAL.fullmatch(p.name) for label, p in zip(labels, parsed, strict=True)
    ]
    return [_Parsed("unknown") if shared else p for shared, p in zip(is_shared, parsed, strict=True)]


@lru_cache(maxsize=64)
def _is_radial(labels: tuple[str, ...]) -> bool:
    """Whether a file names electrodes radially: most names that distinguish the systems are radial."""
    radial = [_RADIAL.fullmatch(stripped(label)) is not None for label in labels]
    other = [clean_label(label) is not None for label in labels]
    n_radial_only = sum(r and not o for r, o in zip(radial, other, strict=True))
    return n_radial_only > sum(o and not r for r, o in zip(radial, other, strict=True))


def _given_reference(reference: Reference, stated: Collection[Reference | None]) -> tuple[Reference, tuple[str, ...]]:
    """The given reference, and a flag for each other reference in labels, because one of the two is wrong."""
    others = (
        sorted(name for name in stated if name not in (None, "unknown", reference)) if reference != "unknown" else ()
    )
    return reference, tuple(f"reference_differs:{name}" for name in others)


def _inferred_reference(stated: Collection[Reference | None], layout: Layout) -> tuple[Reference, tuple[str, ...]]:
    """The one reference that all labels state, and flags. None stands for labels without a reference."""
    known = sorted(reference for reference in stated if reference)
    if len(known) > 1:
        raise RecordingError(
            "mixed_references",
            f"channels are recorded against {' and '.join(known)}",
            "give the reference of the corpus explicitly if the labels are wrong, or leave the file out",
        )
    if not known:
        return ("Cz" if layout.startswith("gsn") else "unknown"), ()
    found: Reference = "unknown" if None in stated else known[0]
    return found, ("reference_unknown",) if found == "unknown" else ()
