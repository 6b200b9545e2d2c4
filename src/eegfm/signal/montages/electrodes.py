"""Turn the channel labels of a file into electrodes: clean the names, order them, look up their positions."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from eegfm.errors import RecordingError
from eegfm.recording import Montage, Reference
from eegfm.signal.config import ReadParams
from eegfm.signal.montages.caps import check_cap, raw_names_in, without_cap
from eegfm.signal.montages.labels import (
    Parsed,
    canonical_name,
    core,
    is_annotations,
    is_oxygen_perhaps,
    parse,
    parse_words,
    rewritten,
)
from eegfm.signal.montages.layouts import (
    CAPS,
    NOT_SCALP,
    RADIAL_LAYOUTS,
    Layout,
    electrode_table,
    is_scalp,
    raw_name,
    raw_names,
)
from eegfm.signal.montages.references import against_a_reference, not_in_average, recorded_reference

_LARGE_NET = frozenset(f"E{k}" for k in range(130, 257))
AS_WRITTEN = ReadParams()
"""Names without any option."""


@dataclass(frozen=True)
class ResolvedChannels:
    """Channels of a file that are electrodes.

    Args:
        picks: Index into the file's labels of each channel, in the montage's order.
        montage: The electrodes, in the layout's own order whatever the order in the file.
        not_understood: Labels that are neither electrodes nor known as other channels.
        left_out: Labels known to be no single electrode with a position on the head: ECG, EOG, triggers, bipolar
            derivations, electrodes that the 10-05 system does not hold.
        flags: ``electrode_among_words:<n>`` for labels with further words; ``names_compete:<electrode>`` if such a
            label names the same electrode as another label, so that it is not taken; ``reference_unknown`` if labels
            have an unnamed reference; ``references_mixed:<references>`` if labels name several;
            ``reference_differs:<reference>`` if they name another reference than the given one;
            ``reference_not_in_average:<electrode>`` for a scalp electrode that all are recorded against.
    """

    picks: tuple[int, ...]
    montage: Montage
    not_understood: tuple[str, ...]
    left_out: tuple[str, ...]
    flags: tuple[str, ...] = ()


def clean_label(label: str, layout: Layout | None = None) -> str | None:
    """Canonical electrode name of a label, or None when it does not name one electrode.

    ``Fc5.`` is FC5, ``EEG FP1-REF`` is Fp1, ``EEG T3-LE`` is T7, ``E001`` is E1. ``ECG``, ``A2-A1`` and labels that are
    in no table give None, and so do labels with words that are not understood.

    Args:
        label: Label as written in a file.
        layout: Layout of the electrodes. Without one, the 10-05 system and the geodesic nets count; E129 is then the
            vertex, as in the net of 129.
    """
    return parse(label, layout).name or None


def is_electrode(name: str, layout: Layout) -> bool:
    """True if a layout has an electrode of this name; the caps of BioSemi also have their raw names."""
    is_input = layout in CAPS and raw_name(name) in raw_names(layout)
    return is_input or clean_label(name, layout) in electrode_table(layout)


def possible_name(label: str) -> str | None:
    """Electrode that a label names: alone, among other words, or against an ear; None if it names none."""
    known = parse(label, None)
    if known.pair and known.pair[1] in NOT_SCALP | {known.pair[0]}:
        return known.pair[0]
    return known.name or parse_words(label, None).name or None


def ten_twenty_names(labels: Sequence[str]) -> tuple[str | None, ...]:
    """10-05 name of each label of one file; None if there is none, e.g. for C3 of a radially named cap."""
    return tuple(p.name or None for p in _known(labels, "1005"))


def electrode_names(
    labels: Sequence[str], reading: ReadParams, rates: Sequence[float] | None = None
) -> tuple[str | None, ...]:
    """Electrode of each label of one file, whatever the layout; None for other channels.

    Args:
        labels: Labels as written in the file.
        reading: Options for names.
        rates: Rate of each channel in any unit, see ``resolve_channels``.
    """
    texts = [rewritten(label, reading, None) for label in labels]
    known = [Parsed("other") if text is None else parse(text, None) for text in texts]
    if _is_radial(tuple(text or "" for text in texts)):
        return tuple(p.name or None for p in known)
    return tuple(p.name or None for p in _completed(texts, known, None, rates)[0])


def duplicate_electrodes(labels: Sequence[str], reading: ReadParams = AS_WRITTEN) -> tuple[str, ...]:
    """Electrodes with more than one label, regardless of spelling and reference."""
    texts = [rewritten(label, reading, None) for label in labels]
    names = [text and clean_label(text) for text in texts]
    if _LARGE_NET & set(names):
        # Beside E130 and above, E129 is an electrode like any other and not the vertex.
        names = [text and (clean_label(text, "gsn257") or name) for text, name in zip(texts, names, strict=True)]
    return _repeated(names)


def _repeated(names: Iterable[str | None]) -> tuple[str, ...]:
    counts = Counter(name for name in names if name)
    return tuple(sorted(name for name, n in counts.items() if n > 1))


def resolve_channels(
    labels: Sequence[str],
    layout: Layout,
    reference: Reference | None = None,
    meaning_of_ref: Reference = "unknown",
    reading: ReadParams = AS_WRITTEN,
    rates: Sequence[float] | None = None,
) -> ResolvedChannels:
    """Find the electrodes among a file's labels and order them as the layout does.

    Args:
        labels: Labels as written in the file.
        layout: Layout of the electrodes.
        reference: Reference of the recording; inferred from the labels if not given.
        meaning_of_ref: Reference of channels whose labels end in ``-REF``.
        reading: Options for names: ``prefixes``, ``suffixes`` and ``renames``.
        rates: Rate of each channel in any unit, if they may differ. Only labels at the rate of the electrodes may have
            unknown words or name the electrode of their reference: ``Fp1 spikes`` at 1 Hz is no electrode.

    Raises:
        RecordingError: No electrode at all, or raw names that do not fit a cap of BioSemi (``no_eeg``), one electrode
            twice (``duplicate_label``), or labels of different references (``mixed_references``).
    """
    texts = [rewritten(label, reading, layout) for label in labels]
    raw = raw_names_in(texts) if _is_radial(tuple(text or "" for text in texts)) else ()
    if raw and layout in CAPS:
        check_cap(raw, layout)
    parsed, flags = _read(texts, layout, rates)
    table = electrode_table(layout)
    found = {i: p.name for i, p in enumerate(parsed) if p.name in table}
    _refuse_unfit(found.values(), labels, layout, raw, flags)
    picks = sorted(found, key=lambda i: table[found[i]].order)
    electrodes = [table[found[i]] for i in picks]
    stated = {meaning_of_ref if (r := parsed[i].reference) == "unknown" else r for i in picks}
    recorded_against, reference_flags = recorded_reference(reference, stated, layout)
    shared = sorted({pair[1] for i in picks if (pair := parsed[i].pair)})
    n_among_words = sum(parsed[i].reference == "words" for i in picks)
    montage = Montage(
        channel_names=tuple(e.name for e in electrodes),
        positions_m=tuple(e.position_m for e in electrodes),
        is_scalp=is_scalp([e.name for e in electrodes], layout),
        reference=recorded_against,
    )
    pairs = zip(labels, parsed, strict=True)
    rest = [(label, p) for label, p in pairs if p.name not in table and not is_annotations(label)]
    return ResolvedChannels(
        picks=tuple(picks),
        montage=montage,
        not_understood=tuple(label for label, p in rest if p.kind != "other"),
        left_out=tuple(label for label, p in rest if p.kind == "other"),
        flags=(
            *flags,
            *((f"electrode_among_words:{n_among_words}",) if n_among_words else ()),
            *reference_flags,
            *(flag for electrode in shared for flag in not_in_average(electrode, montage)),
        ),
    )


def _refuse_unfit(
    found: Collection[str], labels: Sequence[str], layout: Layout, raw: Sequence[str], flags: Sequence[str]
) -> None:
    """Refuse electrodes that are none of a scalp, not those of the cap, or there twice; see ``resolve_channels``."""
    if not found or (raw and layout not in CAPS and NOT_SCALP.issuperset(found)):
        raise _no_electrode(labels, layout, raw, flags)
    if raw and layout in CAPS:
        check_cap([name for name, electrode in raw_names(layout).items() if electrode in found], layout, flags)
    twice = _repeated(found)
    if twice:
        raise _duplicates(twice)


def _read(
    texts: Sequence[str | None], layout: Layout, rates: Sequence[float] | None
) -> tuple[list[Parsed], tuple[str, ...]]:
    """Read all labels of a file; None for channels that are left out. Returns flags, too."""
    labels = tuple(text or "" for text in texts)
    is_radial = _is_radial(labels)
    is_raw = is_radial and layout in CAPS
    known = [p if text is not None else Parsed("other") for text, p in zip(texts, _known(labels, layout), strict=True)]
    if is_radial != (is_raw or layout in RADIAL_LAYOUTS):
        return known, ()  # words around names of another system
    return _completed(texts, known, layout, rates, is_raw=is_raw)


def _known(labels: Sequence[str], layout: Layout) -> list[Parsed]:
    """Read the labels whose words are all known. A name that two systems share is unknown in the other system.

    C3 of BioSemi's raw naming (A1-A32, B1-B32, …) is not the C3 of 10-20, and I1 is not the inion.
    """
    is_radial = _is_radial(tuple(labels))
    if is_radial and layout in CAPS:
        return [parse(label, layout, is_raw=True) for label in labels]
    parsed = [parse(label, layout) for label in labels]
    if not is_radial and layout not in RADIAL_LAYOUTS:
        return parsed
    return [
        Parsed("unknown") if raw_name(core(label)) and p.name else p for label, p in zip(labels, parsed, strict=True)
    ]


def _completed(
    texts: Sequence[str | None],
    known: Sequence[Parsed],
    layout: Layout | None,
    rates: Sequence[float] | None,
    *,
    is_raw: bool = False,
) -> tuple[list[Parsed], tuple[str, ...]]:
    """Add electrodes among unknown words, and electrodes with a named reference, unless two would be one electrode."""
    more = against_a_reference(known)
    for i, text in enumerate(texts):
        if text is not None and known[i].kind == "unknown":
            found = parse_words(text, layout, is_raw=is_raw)
            if found.kind != "unknown":
                more[i] = found
    n_with = Counter(p.words for p in more.values() if p.name)
    gas = {i for i, p in more.items() if n_with[p.words] == 1 and is_oxygen_perhaps(texts[i] or "")}
    more = {i: p for i, p in more.items() if i not in gas}
    if rates:
        sure = [rates[i] for i, p in enumerate(known) if p.name and i not in more] or [
            rates[i] for i, p in more.items() if p.name
        ]
        usual = max(sorted(set(sure), reverse=True), key=sure.count, default=None)
        more = {i: p for i, p in more.items() if not p.name or rates[i] == usual}
    n_named = Counter(p.name for p in (*known, *more.values()) if p.name)
    compete = sorted({p.name for p in more.values() if n_named[p.name] > 1})
    read = [more[i] if i in more and more[i].name not in compete else p for i, p in enumerate(known)]
    return read, tuple(f"names_compete:{name}" for name in compete)


@lru_cache(maxsize=64)
def _is_radial(labels: tuple[str, ...]) -> bool:
    """True if a file names electrodes radially: most names that distinguish the systems are radial."""
    names = [core(label) for label in labels]
    radial = [raw_name(name) is not None for name in names]
    other = [canonical_name(name, None) is not None for name in names]
    n_radial_only = sum(r and not o for r, o in zip(radial, other, strict=True))
    return n_radial_only > sum(o and not r for r, o in zip(radial, other, strict=True))


def _no_electrode(labels: Sequence[str], layout: Layout, raw: Sequence[str], flags: Sequence[str]) -> RecordingError:
    if raw and layout not in CAPS:
        return without_cap(raw, layout)
    twice = [flag.partition(":")[2] for flag in flags if flag.startswith("names_compete:")]
    return RecordingError(
        "no_eeg",
        f"no electrode of layout {layout!r} among the labels {', '.join(labels)[:200]}"
        + (f"; several labels name {', '.join(twice)[:200]}" if twice else ""),
        "name another layout, name electrodes by ingest.reading.renames, or leave the file out",
    )


def _duplicates(names: Sequence[str]) -> RecordingError:
    return RecordingError(
        "duplicate_label",
        f"more than one channel is named {', '.join(names)}",
        "rename or remove the extra channel; which one is meant cannot be known",
    )
