"""BioSemi's raw names: those of the amplifier's inputs (A1 to B32), whose places depend on the cap."""

from collections.abc import Iterable, Mapping, Sequence

from eegfm.errors import RecordingError
from eegfm.signal.montages.labels import core, parse, parse_words
from eegfm.signal.montages.layouts import CAPS, RADIAL_LAYOUTS, Layout, raw_name, raw_names

_MOST_NAMED = 8
"""Most missing inputs that a message names."""


def raw_names_in(texts: Iterable[str | None]) -> tuple[str, ...]:
    """BioSemi's raw names among the labels, without those of bank I, which no cap has."""
    own = [text for text in texts if text and "other" not in (parse(text, None).kind, parse_words(text, None).kind)]
    names = {name for text in own if (name := raw_name(core(text)))}
    return tuple(sorted((n for n in names if n[0] != "I"), key=lambda name: (name[0], int(name[1:]))))


def check_cap(raw: Sequence[str], layout: Layout, flags: Sequence[str] = ()) -> None:
    """Refuse raw names that are not those of the cap, because a name has another place in another cap.

    The caps of 16, 32 and 64 need all their names. The others share their places, so that some may be missing, but
    not so many that another cap fits.

    Args:
        raw: Raw names of the file.
        layout: The cap.
        flags: Flags about names. ``names_compete`` says why a name may be missing.

    Raises:
        RecordingError: The names are not those of the cap (``no_eeg``).
    """
    fits, better = raw_names(layout).keys(), _fitting_cap(raw)
    if better == layout or (layout in RADIAL_LAYOUTS and better is None and fits >= set(raw)):
        return
    others = [name for name in raw if name not in fits]
    gone = [name for name in fits if name not in raw]
    twice = [flag.partition(":")[2] for flag in flags if flag.startswith("names_compete:")]
    raise RecordingError(
        "no_eeg",
        f"{len(raw)} channels have BioSemi's raw names ({_spans(raw)}); the cap of layout {layout!r} has "
        f"{len(fits)} ({_spans(tuple(fits))})"
        + (f"; missing: {', '.join(gone)}" if 0 < len(gone) <= _MOST_NAMED else "")
        + (f"; several labels name {', '.join(twice)[:200]}" if twice else ""),
        f"set ingest.corpus.layout: {better}, whose names these are"
        if better
        else f"no cap has exactly these: set ingest.reading.renames for {_renames(raw, others, layout)}, or leave the "
        "file out",
    )


def _renames(raw: Sequence[str], others: Sequence[str], layout: Layout) -> str:
    """Say what renames would help: without inputs that are none of the cap's, or with names for a part of the cap."""
    if others:
        return f"channels that are no electrodes of this cap ({others[0]}: null)"
    return f"every electrode ({raw[0]}: {raw_names(layout)[raw[0]]})"


def without_cap(raw: Sequence[str], layout: Layout) -> RecordingError:
    """The error of raw names in a layout that has none."""
    cap = _fitting_cap(raw)
    return RecordingError(
        "no_eeg",
        f"{len(raw)} channels have BioSemi's raw names ({_spans(raw)}), which layout {layout!r} does not place",
        f"set ingest.corpus.layout: {cap} if this is BioSemi's cap of {CAPS[cap]}, or leave the file out"
        if cap
        else "no cap of BioSemi has exactly these: name electrodes by ingest.reading.renames, or leave the file out",
    )


def _fitting_cap(raw: Sequence[str]) -> Layout | None:
    return next((cap for cap in CAPS if set(raw) == raw_names(cap).keys()), None)


def _spans(raw: Sequence[str]) -> str:
    """First and last name of each bank."""
    banks: Mapping[str, list[str]] = {bank: [n for n in raw if n[0] == bank] for bank in sorted({n[0] for n in raw})}
    return ", ".join(f"{names[0]} to {names[-1]}" if len(names) > 1 else names[0] for names in banks.values())
