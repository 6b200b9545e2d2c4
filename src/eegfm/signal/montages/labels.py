"""Read one channel label: as an electrode, as a channel known to be something else, or not at all."""

import re
from collections.abc import Collection, Iterable
from functools import cache, lru_cache
from typing import Literal, NamedTuple

from eegfm.recording import Reference
from eegfm.signal.config import ReadParams
from eegfm.signal.montages.layouts import MODERN_NAMES, NOT_SCALP, RADIAL_LAYOUTS, Layout, electrode_table, raw_name
from eegfm.signal.montages.layouts import raw_names as inputs_of
from eegfm.signal.text import stripped

StatedReference = Reference | Literal["words"]
"""What a label says about the reference. ``words``: it has a word that is not understood, which may name one."""
# Clinical electrodes without a position in the 10-05 system: anterior temporal (T1, T2), sphenoidal (SP) and
# nasopharyngeal (PG). FT9 and FT10 are near T1 and T2, but not at the same positions.
_WITHOUT_PLACE = frozenset({"T1", "T2", "SP1", "SP2", "PG1", "PG2"})
# REF means an unnamed reference. TUH writes it for the average, other recorders for their own reference.
REFERENCE_SUFFIXES: dict[str, Reference] = {
    "REF": "unknown",
    "AVG": "average",
    "LE": "linked_ears",
}
_BOTH_EARS = r"\(?\s*(?:A1\s*[/+]?\s*A2|A2\s*[/+]?\s*A1)\s*\)?(?:\s*/\s*2)?"
_LINKED_EARS = re.compile(_BOTH_EARS, re.IGNORECASE)
# Linked mastoids are one word. They are no reference of ``Reference``, so that it stays unknown.
_LINKED_MASTOIDS = re.compile(rf"(?<=-)\s*{_BOTH_EARS.replace('A', 'M')}$", re.IGNORECASE)
_NOT_EEG = re.compile(
    # LOC and ROC are the left and right outer canthus; upper and lower are LUC, RLC and their mirror images.
    r"(?:EEG\s+)?(?:ECG|EKG|[HV]?EOG|[LR][OUL]C|EMG|RESP(?:IRATION)?|PULSE|PLETH|PHOTIC|IBI|BURSTS?|SUPPR|"
    r"STATUS|TRIGGER|STIM?|DIG|DC|EXG|GSR|TEMP|SAO2|SPO2|OSAT|ETCO2|CO2WAVE|REF_EEG|"
    r"EVENTS?|MARKERS?|ACC|GYRO)(?![A-Z])",
    re.IGNORECASE,
)
_OTHER_WORDS = frozenset(
    word
    for words in (
        "EOG HEOG VEOG LOC ROC ECG EKG HR HEART BPM RR EMG CHIN LEG ARM TIB SUBMENT SUBMENTAL",
        "RESP RESPIRATION RESPIRATORY BREATH THORAX THOR ABDOMEN ABD ABDOMINAL CHEST NASAL ORAL AIRFLOW FLOW CANNULA",
        "EFFORT SNORE PRESSURE BP SPO2 SAO2 OSAT SAT SATURATION OXIMETER OXIMETRY OXY OXYGEN CO2 ETCO2",
        "PULSE PLETH PPG BVP GSR EDA SCR SCL SKIN TEMP TEMPERATURE ACC ACCEL GYRO IMU MAG FORCE TORQUE POSITION BODY",
        # Inputs and marks of the recorder.
        "DC AUX EXG TRIG TRIGGER TRG STI STIM STIMULUS EVENT EVENTS MARK MARKER MARKERS STATUS DIG DIGITAL COUNTER",
        "PHOTIC LIGHT AUDIO MIC MICROPHONE SOUND VIDEO BATTERY CLOCK TIME GND GROUND ANNOTATION ANNOTATIONS",
        # Other recordings of the brain.
        "MEG ECOG IEEG SEEG DBS LFP GRID STRIP DEPTH NIRS FNIRS HBO HBR HBT",
        # What is said or computed about an electrode.
        "CQ EQ QUALITY IMP IMPEDANCE OHM KOHM POW POWER DELTA THETA ALPHA BETA GAMMA BAND RATIO ENVELOPE AEEG CSA",
        "BURST BURSTS SUPPR IBI ICA ENTROPY LATENCY AMPLITUDE",
    )
    for word in words.split()
)
"""Words that say that a channel holds no EEG of an electrode, with or without a number behind them."""
_OTHER_PART = re.compile(r"(?:EOG|EMG|ECG|EKG).*|.*(?:EOG|EMG|ECG|EKG)\d*")
# Signs that stand for the hyphen of ``C3-A2``. A low line does, too, but it also joins words: ``RDA_A1``.
_HYPHENS = r":/\u2013\u2014\u2212"
_ONE_ELECTRODE = re.compile(
    r"(?:EEG\s+)?(?P<name>[A-Z]+\d*[A-Z]?)\.*"
    rf"(?:\s*-\s*(?P<other>\S+|{_BOTH_EARS})|\s*[{_HYPHENS}_]\s*(?P<ear>[AM][12]\.*|{_BOTH_EARS}))?",
    re.IGNORECASE,
)
_BETWEEN = " \t-_.:,;/\\|()[]{}<>=\u2013\u2014\u2212"
_BETWEEN_WORDS = re.compile(rf"[\s{re.escape(_BETWEEN)}]+")
# What an unknown word is recorded against: ``Jaw-A1`` is not the ear. A number is no signal: ``20-A1`` is the ear.
_AGAINST_AN_EAR = re.compile(
    rf"(?!EEG\s*[-{_HYPHENS}])[^-{_HYPHENS}]*[^\W\d][^-{_HYPHENS}]*[-{_HYPHENS}]\s*[AM][12]\b.*", re.IGNORECASE
)
# Nothing says what ``Fp1-`` is recorded against.
_CUT_OFF = re.compile(r".*-\W*")
# O2 is oxygen, too: ``O2 concentration``.
_OXYGEN = re.compile(r"O2\s+\w.*", re.IGNORECASE)
_GEODESIC = re.compile(r"E0*(\d{1,3})", re.IGNORECASE)
GEODESIC_NAMES = {f"E{k}": f"E{k}" for k in range(1, 257)}
_VERTEX = "Cz"


# Annotation lists that EDF+ and BDF+ store as a channel.
_NOTES = re.compile(r"[EB]DF\s+ANNOTATIONS", re.IGNORECASE)


class Parsed(NamedTuple):
    """Meaning of a label.

    Args:
        kind: An electrode with a position in the layout, a channel known to be something else, or neither.
        name: Canonical name of the electrode.
        reference: Reference that the label states.
        pair: Canonical names of the two electrodes of a derivation whose first one is on the scalp.
        words: Further words of a label that has exactly one electrode among words that are not understood.
    """

    kind: Literal["electrode", "other", "unknown"]
    name: str = ""
    reference: StatedReference | None = None
    pair: tuple[str, str] | None = None
    words: tuple[str, ...] = ()


@lru_cache(maxsize=8192)
def parse(label: str, layout: Layout | None, *, is_raw: bool = False) -> Parsed:
    """Read a label whose every word is known.

    Args:
        label: Label as written in a file.
        layout: Layout of the electrodes. Without one, the 10-05 system and the geodesic nets count.
        is_raw: The file has BioSemi's raw names, and the layout is one of its caps.
    """
    text = stripped(label)
    if _NOT_EEG.match(text):
        return Parsed("other")
    match = _ONE_ELECTRODE.fullmatch(text)
    if match is None or not _is_electrode(match["name"], layout, is_raw=is_raw):
        return Parsed("unknown")
    name, other = _canonical(match["name"], layout, is_raw=is_raw), match["other"] or match["ear"]
    reference = _stated(other) if other else None
    if other is None or reference:
        if name:
            return Parsed("electrode", name, reference)
        # An electrode of another layout is a mistake. An electrode without a position is not.
        return Parsed("other" if match["name"].upper() in _WITHOUT_PLACE else "unknown")
    second = other.rstrip(".")
    if not _is_electrode(second, layout, is_raw=is_raw):
        return Parsed("unknown")
    # Two electrodes form a bipolar derivation, which is known but has no single position.
    against = _canonical(second, layout, is_raw=is_raw) or _canonical(second, None)
    is_pair = name and against and not is_raw and layout not in RADIAL_LAYOUTS and name not in NOT_SCALP
    return Parsed("other", pair=(name, against) if is_pair and name and against else None)


@lru_cache(maxsize=8192)
def parse_words(label: str, layout: Layout | None, *, is_raw: bool = False) -> Parsed:
    """Read a label that has exactly one electrode among words that are not understood: ``POL Fp1``, ``Fp1-AV``.

    A label with two electrodes, or with a word for another signal, is none. The reference is not known.
    """
    text = _LINKED_MASTOIDS.sub("M1M2", stripped(label))
    words = _words(text)
    found = [word for word in words if _is_electrode(word, layout, is_raw=is_raw)]
    if found and any(_says_other(word) for word in words):
        return Parsed("other")
    name = _canonical(found[0], layout, is_raw=is_raw) if len(found) == 1 else None
    is_against_an_ear = not is_raw and _AGAINST_AN_EAR.fullmatch(text)  # A1 of a cap is no ear
    if not name or is_against_an_ear or _CUT_OFF.fullmatch(text):
        return Parsed("unknown")
    rest = tuple(word.casefold() for word in words if word != found[0])
    return Parsed("electrode", name, "words", words=rest)


def is_annotations(label: str) -> bool:
    """A channel of this label holds the annotation lists of EDF+ or BDF+. Case and blanks do not count."""
    return _NOTES.fullmatch(stripped(label)) is not None


def is_oxygen_perhaps(label: str) -> bool:
    """True if a label may mean the gas O2, if no other electrode has the same words."""
    return _OXYGEN.fullmatch(stripped(label)) is not None


def core(label: str) -> str:
    """The part of a label that names an electrode of any system, or the first of two, in upper case; "" for none."""
    text = stripped(label)
    match = _ONE_ELECTRODE.fullmatch(text)
    if match and (raw_name(match["name"]) or _is_electrode(match["name"], None)):
        return str(match["name"].upper())
    found = [word for word in _words(text) if raw_name(word) or _is_electrode(word, None)]
    return found[0].upper() if len(found) == 1 else ""


def rewritten(label: str, reading: ReadParams, layout: Layout | None) -> str | None:
    """A label after the options ``renames``, ``prefixes`` and ``suffixes``; None if its channel is to be left out.

    A rename counts in any case, unless another one has the label as written, or differs only in case. Only labels that
    are not understood lose a prefix or suffix, so that a prefix ``P`` does not spoil ``P3``.
    """
    return _applied(label, reading, layout)[0]


def options_used(labels: Iterable[str], reading: ReadParams) -> tuple[str, ...]:
    """Keys of the options for names that change one of these labels: ``renames.Ch1``, ``prefixes.POL``."""
    return tuple(sorted({key for label in labels for key in _applied(label, reading, None)[1]}))


def _applied(label: str, reading: ReadParams, layout: Layout | None) -> tuple[str | None, tuple[str, ...]]:
    """A label after the options, and the keys of the options that changed it."""
    text, used = stripped(label), []
    rename = _rename(text, reading.renames)
    if rename is not None:
        return reading.renames[rename], (f"renames.{rename}",)
    if not (reading.prefixes or reading.suffixes) or raw_name(text) or parse(text, layout).kind != "unknown":
        return label, ()
    for prefix in sorted(reading.prefixes, key=len, reverse=True):
        if text.casefold().startswith(prefix.casefold()):
            text = text[len(prefix) :].strip(_BETWEEN)
            used.append(f"prefixes.{prefix}")
            break
    for suffix in sorted(reading.suffixes, key=len, reverse=True):
        if text.casefold().endswith(suffix.casefold()):
            text = text[: -len(suffix)].strip(_BETWEEN)
            used.append(f"suffixes.{suffix}")
            break
    return (text, tuple(used)) if raw_name(text) or parse(text, layout).kind != "unknown" else (label, ())


def _rename(text: str, renames: Collection[str]) -> str | None:
    """The rename of a label: as written, or the only one that differs in case alone."""
    alike = [key for key in renames if key.casefold() == text.casefold()]
    return text if text in renames else alike[0] if len(alike) == 1 else None


def canonical_name(text: str, layout: Layout | None) -> str | None:
    """Canonical name of an electrode that is written alone; None if the layout has none of this name."""
    return _canonical(text, layout)


def _stated(text: str) -> Reference | None:
    """Reference that a word states; None if it states none. One ear is an electrode."""
    return "linked_ears" if _LINKED_EARS.fullmatch(text) else REFERENCE_SUFFIXES.get(text.upper())


def _is_electrode(text: str, layout: Layout | None, *, is_raw: bool = False) -> bool:
    """True if any possible layout has this electrode."""
    own = _canonical(text, layout, is_raw=is_raw)
    return bool(own or _canonical(text, None)) or text.upper() in _WITHOUT_PLACE


def _canonical(text: str, layout: Layout | None, *, is_raw: bool = False) -> str | None:
    if is_raw and layout:
        return inputs_of(layout).get(raw_name(text) or "")
    geodesic = _GEODESIC.fullmatch(text) if layout not in RADIAL_LAYOUTS else None
    return _canonical_names(layout).get(f"E{int(geodesic[1])}" if geodesic else text.upper())


@cache
def _canonical_names(layout: Layout | None) -> dict[str, str]:
    """Upper-case name to canonical name, old names included.

    Without a layout, these are the names of the 10-05 system and of the geodesic nets. Radial names are left out,
    because C3 would then have two positions.
    """
    names = {name.upper(): name for name in electrode_table(layout or "1005")}
    if layout is None:
        return names | MODERN_NAMES | GEODESIC_NAMES | {"E129": _VERTEX, "E257": _VERTEX}
    if layout.startswith("gsn"):
        # A net numbers its vertex, the reference, as the electrode after the last.
        return names | ({f"E{len(names)}": _VERTEX} if _VERTEX in names.values() else {})
    return names | {old: new for old, new in MODERN_NAMES.items() if new in names.values()}


def _words(text: str) -> list[str]:
    return [word for word in _BETWEEN_WORDS.split(text) if word]


def _says_other(word: str) -> bool:
    known = word.upper()
    return bool(_OTHER_PART.fullmatch(known)) or not _OTHER_WORDS.isdisjoint((known, known.rstrip("0123456789")))
