"""Split recordings of EEG-BIDS (``split-01``, ``split-02``, …): several files that share their side files.

BIDS counts onsets from the first sample of the recording. In a table that all parts share, onsets therefore count from
the start of the first part. A table that names a part describes this part and counts from its start.
"""

import datetime
import logging
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from eegfm.corpora.bids_sidecars import entities
from eegfm.errors import RecordingError
from eegfm.signal.config import ReadParams
from eegfm.signal.edf.header import stated_start
from eegfm.signal.expected import MAX_DURATION_ERROR_S
from eegfm.signal.header import RecordingHeader
from eegfm.signal.open import open_reader

_log = logging.getLogger(__name__)

MAX_START_ERROR_S = 2.0
"""Headers state the start in whole seconds."""
OWN_TABLES = (
    "give each part of the recording an events.tsv of its own (…_split-02_events.tsv), which counts from its start"
)
PUT_TOGETHER = f"put all parts of the recording side by side, or {OWN_TABLES}"
WHOLE = "whole_beside_parts"
"""Flag of a recording that exists as one file and also in parts."""


class Parts(NamedTuple):
    """The other parts of a part's recording, in order.

    Args:
        earlier: Parts before this part.
        later: Known parts after this part.
    """

    earlier: tuple[Path, ...]
    later: tuple[Path, ...]


def is_part(path: Path) -> bool:
    """True if a file holds one of several parts of a recording."""
    return "split" in (entities(path.name) or {})


def is_shared(path: Path, sidecar: Path) -> bool:
    """True if a side file of a part describes the whole recording."""
    return is_part(path) and "_split-" not in sidecar.name


def read_parts(path: Path, suffixes: Iterable[str]) -> Parts:
    """Find the other parts in a part's folder.

    Raises:
        RecordingError: An earlier part is missing (``part_missing``) or exists twice (``part_twice``).
    """
    whole, own = _whole_and_number(path.name)
    found: dict[int, list[Path]] = {}
    for other in sorted(path.parent.iterdir()):
        if other.suffix.lower() in suffixes and _whole_and_number(other.name)[0] == whole:
            found.setdefault(_whole_and_number(other.name)[1], []).append(other)
    # The whole recording may exist in two formats. The parts of each format belong together.
    found = {n: [p for p in paths if p.suffix == path.suffix] or paths for n, paths in sorted(found.items())}
    earlier = [_only(path, number, found.get(number, [])) for number in range(min(1, *found), own)]
    _only(path, own, found[own])
    return Parts(tuple(earlier), tuple(paths[0] for number, paths in found.items() if number > own))


def other_parts(path: Path, suffixes: Iterable[str]) -> tuple[Path, ...]:
    """All files in a part's folder that hold another part of its recording, in any format; none for other files."""
    whole, _ = _whole_and_number(path.name)
    beside = sorted(path.parent.iterdir()) if whole else ()
    return tuple(
        p for p in beside if p != path and p.suffix.lower() in suffixes and _whole_and_number(p.name)[0] == whole
    )


def _whole_and_number(name: str) -> tuple[tuple[tuple[str, str], ...], int]:
    """Name of the whole recording, and number of the part; an empty name for a file that is no part."""
    known = entities(name) or {}
    number = int(known.pop("split", "-1"))
    return (tuple(known.items()), number) if number >= 0 else ((), number)


def _only(path: Path, number: int, paths: Sequence[Path]) -> Path:
    if not paths:
        reason = f"{path.name}: part {number} of this recording is missing, so the start of this part is unknown"
        raise RecordingError("part_missing", reason, PUT_TOGETHER)
    if len(paths) > 1:
        names = " and ".join(p.name for p in paths)
        reason = f"{path.name}: part {number} of this recording exists twice, as {names}"
        raise RecordingError("part_twice", reason, "remove or rename the one that is wrong")
    return paths[0]


def place_in_part(
    path: Path,
    header: RecordingHeader,
    events: Iterable[dict[str, Any]],
    parts: Parts,
    reading: ReadParams | None = None,
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Pick the events of one part from the table of the whole recording.

    Args:
        path: The part.
        header: Its header.
        events: Rows whose ``onset_s`` counts from the start of the first part.
        parts: The other parts.
        reading: Options for opening the other parts.

    Returns:
        The events that begin in this part or last into it, in the time of this part. Events before the first part and
        after the last part belong to these. Also the flag ``part_start_differs:<s>``, if the starts in the headers are
        this many seconds further apart than the earlier parts last.

    Raises:
        RecordingError: An earlier part cannot be read, or is incomplete (``part_missing``).
    """
    offset_s = sum(_end_s(path, part, reading) for part in parts.earlier)
    half_s = 0.5 / header.rate_hz  # onsets are written in decimals and need not hit a sample
    start_s = -math.inf if not parts.earlier else -half_s
    stop_s = math.inf if not parts.later else header.end_s - half_s
    placed = []
    for event in events:
        onset_s = event["onset_s"] - offset_s
        lasts_into = onset_s < start_s and onset_s + (event.get("duration_s") or 0.0) > half_s
        if start_s <= onset_s < stop_s or lasts_into:
            placed.append({**event, "onset_s": onset_s})
    return placed, _start_flags(path, offset_s, parts)


def _end_s(path: Path, part: Path, reading: ReadParams | None) -> float:
    """Length of an earlier part. The length of a truncated part is unknown."""
    try:
        header = open_reader(part, reading).header
    except RecordingError as error:
        reason = f"{path.name}: {part.name}, an earlier part, cannot be read ({error.reason}), nor its length known"
        raise RecordingError("part_missing", reason, f"mend that part ({error.remedy}), or {OWN_TABLES}") from error
    if "truncated" in header.flags:
        reason = f"{path.name}: {part.name}, an earlier part, ends early, so the start of this part is unknown"
        raise RecordingError("part_missing", reason, f"fetch that part again, or {OWN_TABLES}")
    return header.end_s


def _start_flags(path: Path, offset_s: float, parts: Parts) -> tuple[str, ...]:
    """Compare with the starts in EDF and BDF headers. Equal starts were set by a tool and tell nothing."""
    if not parts.earlier:
        return ()
    first, own = stated_start(parts.earlier[0]), stated_start(path)
    if first is None or own is None or first == own:
        return ()
    apart_s = (own - first) / datetime.timedelta(seconds=1) - offset_s
    return (f"part_start_differs:{apart_s:.0f}",) if abs(apart_s) > MAX_START_ERROR_S else ()


def length_flags(
    header: RecordingHeader, stated_s: float, parts: Parts, reading: ReadParams | None = None
) -> tuple[str, ...]:
    """Compare the length in a shared ``*_eeg.json`` with the length of all parts together, or of each.

    Returns:
        The flag ``parts_length_differs:<s>`` if the parts together are this much longer (or shorter). A part may then
        be missing.
    """
    try:
        others_s = [open_reader(part, reading).header.duration_s for part in (*parts.earlier, *parts.later)]
    except RecordingError:
        return ()  # that part is rejected with the reason
    total_s = header.duration_s + sum(others_s)
    tolerance_s = MAX_DURATION_ERROR_S * (1 + len(others_s))
    if min(abs(total_s - stated_s), abs(header.duration_s - stated_s)) <= tolerance_s:
        return ()
    return (f"parts_length_differs:{total_s - stated_s:.1f}",)


def with_parts(table: pd.DataFrame) -> pd.DataFrame:
    """``raw_files`` with linked parts: ``sidecars`` of each part lists the other parts of its recording.

    If a file of the whole recording exists besides its parts, all of them have the flag ``whole_beside_parts``.
    """
    folders = table["path"].str.rpartition("/")
    rows: dict[Any, list[int]] = {}
    wholes: dict[Any, list[int]] = {}
    for row, folder, name in zip(table.index, folders[0], folders[2], strict=True):
        whole, _ = _whole_and_number(name)
        if whole:
            rows.setdefault((folder, whole), []).append(row)
        elif not table.loc[row, "excluded"]:
            wholes.setdefault((folder, tuple((entities(name) or {}).items())), []).append(row)
    columns = ["path", "n_bytes", "mtime_ns", "sidecars"]
    versions = {row: ":".join(map(str, table.loc[row, columns])) for own in rows.values() for row in own}
    for key, own in rows.items():
        for row in own:
            others = [versions[other] for other in own if other != row]
            table.loc[row, "sidecars"] = ";".join([str(table.loc[row, "sidecars"]), *others])
        if key in wholes:
            both = table.index.isin([*wholes[key], *own])
            table.loc[both, "label_flags"] = (table.loc[both, "label_flags"] + f" {WHOLE}").str.strip()
            _log.warning(
                "%s is there as one file and in %d parts; one of both should go: they count twice",
                table.loc[wholes[key][0], "path"],
                len(own),
            )
    return table
