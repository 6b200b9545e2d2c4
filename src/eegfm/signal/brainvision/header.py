"""Parse and check the header (``.vhdr``) and markers (``.vmrk``) of BrainVision recordings.

Source: Brain Products, "BrainVision Core Data Format 1.0". The fields that are read here are those that MNE does not
check.
"""

import configparser
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from eegfm.errors import RecordingError
from eegfm.signal.companions import companion
from eegfm.signal.expected import SANE_RATES_HZ
from eegfm.signal.sniff import refuse_irregular
from eegfm.signal.text import stripped

SAMPLE_BYTES = {"INT_16": 2, "INT_32": 4, "IEEE_FLOAT_32": 4}
DEFAULT_UNIT = "µV"
NEW_SEGMENT = "New Segment"
MAX_TEXT_BYTES = 128 << 20
FETCH_AGAIN = "fetch .vhdr, .vmrk and .eeg again, together, or leave the recording out"
_MARKER = re.compile(r"Mk\d+\s*=(.*)", re.IGNORECASE)


class Marker(NamedTuple):
    """One line of a marker file.

    Args:
        kind: ``Stimulus``, ``Response``, ``New Segment``, ….
        text: Description.
        position: Sample, counted from 0.
        n_samples: Length.
    """

    kind: str
    text: str
    position: int
    n_samples: int


@dataclass(frozen=True)
class BrainVisionHeader:
    """Fields of a ``.vhdr`` that decide signal and time.

    Args:
        labels: Channel names.
        units: Units as written; µV for an empty field, as in the format.
        rate_hz: Sampling rate.
        n_samples: Samples of one channel, by the size of the data file.
        data_path: The data file, inside the header's folder.
        marker_path: The marker file, inside the header's folder; None if none is named or it does not exist.
        flags: Faults that leave signal and timing intact.
    """

    labels: tuple[str, ...]
    units: tuple[str, ...]
    rate_hz: float
    n_samples: int
    data_path: Path
    marker_path: Path | None
    flags: tuple[str, ...]


def read_vhdr(path: Path) -> BrainVisionHeader:
    """Read and check a header. Only the size of the data file is read.

    Raises:
        RecordingError: A field is missing or useless (``brainvision_header``), no EEG has such a rate
            (``sampling_rate``), the data file is missing (``data_missing``), has another size (``data_size``) or lies
            outside the folder (``data_outside_folder``).
    """
    sections = _sections(path)
    common = sections.get("common infos", {})
    if common.get("dataformat", "").upper() != "BINARY":
        raise _bad(path, "DataFormat", common.get("dataformat"), "BINARY; export the recording as binary data")
    kind = sections.get("binary infos", {}).get("binaryformat", "")
    if kind not in SAMPLE_BYTES:
        raise _bad(path, "BinaryFormat", kind, f"one of {', '.join(SAMPLE_BYTES)}")
    labels, units = _channels(path, sections.get("channel infos", {}), common.get("numberofchannels", ""))
    data_path, data_flags = _beside(path, common.get("datafile", ""), ".eeg")
    marker_path, marker_flags = _markers(path, common.get("markerfile", ""))
    return BrainVisionHeader(
        labels=labels,
        units=units,
        rate_hz=_rate_hz(path, common.get("samplinginterval", "")),
        n_samples=_n_samples(path, data_path, len(labels) * SAMPLE_BYTES[kind], common.get("datapoints")),
        data_path=data_path,
        marker_path=marker_path,
        flags=tuple(sorted({*data_flags, *marker_flags})),
    )


def stated_files(path: Path) -> tuple[Path, ...]:
    """The data file and the marker file that a header names, even if they do not exist.

    Raises:
        RecordingError: The header cannot be read, or leads out of its folder.
    """
    common = _sections(path).get("common infos", {})
    names = (common.get("datafile", ""), common.get("markerfile", ""))
    return tuple(companion(path, name.replace("$b", path.stem)) for name in names if name)


def read_vmrk(path: Path) -> tuple[list[Marker], int]:
    """Read a marker file.

    Returns:
        The markers in file order, and the number of lines that are no markers.

    Raises:
        RecordingError: The file cannot be read (``unreadable``).
    """
    markers, n_damaged = [], 0
    for line in _text(path).splitlines():
        match = _MARKER.match(stripped(line))
        if match is None:
            continue
        fields = [stripped(field) for field in match[1].split(",")]
        position = _whole(fields[2]) if len(fields) > 2 else None
        if not position:
            n_damaged += 1
            continue
        n_samples = _whole(fields[3]) if len(fields) > 3 else None
        kind, text = (field.replace(r"\1", ",") for field in fields[:2])
        markers.append(Marker(kind, text, position - 1, n_samples or 0))
    return markers, n_damaged


def _sections(path: Path) -> dict[str, dict[str, str]]:
    """Keys and values by section, names in lower case. The section ``comment`` is free text and is left out."""
    lines = _text(path).splitlines()[1:]
    body = "\n".join(lines).split("[Comment]")[0]
    parser = configparser.ConfigParser(
        interpolation=None, delimiters=("=",), comment_prefixes=(";",), default_section=""
    )
    try:
        parser.read_string(body)
    except configparser.Error as error:
        text = " ".join(str(error).split())
        raise RecordingError("brainvision_header", f"{path.name}: {text[:160]}", FETCH_AGAIN) from error
    return {name.lower(): dict(parser[name]) for name in parser.sections()}


def _text(path: Path) -> str:
    """A text file in UTF-8, or else in the Windows encoding of older recorders."""
    refuse_irregular(path)
    try:
        if path.stat().st_size > MAX_TEXT_BYTES:
            reason = f"{path.name}: {path.stat().st_size} bytes of text, at most {MAX_TEXT_BYTES} are read"
            raise RecordingError("brainvision_header", reason, FETCH_AGAIN)
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise RecordingError("unreadable", f"{path}: {reason}", "check that the file is there and readable") from error
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _channels(path: Path, infos: dict[str, str], stated: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and units in the order of the channels' numbers."""
    n_channels = _whole(stated)
    if not n_channels:
        raise _bad(path, "NumberOfChannels", stated[:80], "a whole number from 1")
    names, units = [], []
    for number in range(1, n_channels + 1):
        entry = infos.get(f"ch{number}")
        if entry is None or len(infos) != n_channels:
            found = f"{path.name}: NumberOfChannels is {stated}, [Channel Infos] lists {len(infos)} channels"
            raise RecordingError("channel_list", found, FETCH_AGAIN)
        fields = [stripped(field) for field in entry.split(",")] + [""] * 4
        resolution = fields[2] or "1"
        if not _is_resolution(resolution):
            raise _bad(path, f"resolution of Ch{number}", resolution, "a number above 0")
        names.append(fields[0].replace(r"\1", ","))
        # This character precedes the micro sign if UTF-8 was read as Latin-1.
        units.append(fields[3].replace("\xc2", "") or DEFAULT_UNIT)
    return tuple(names), tuple(units)


def _is_resolution(text: str) -> bool:
    return _number(text) > 0


def _number(text: str) -> float:
    """A finite number written with a decimal point, or NaN."""
    return float(text) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?", text) else float("nan")


def _whole(text: str) -> int | None:
    """A whole number of at most fifteen digits, which is exact as a float; None for anything else."""
    return int(text) if re.fullmatch(r"\d{1,15}", text) else None


def _rate_hz(path: Path, interval_us: str) -> float:
    interval, (low, high) = _number(interval_us), SANE_RATES_HZ
    if not 1e6 / high <= interval <= 1e6 / low:
        raise RecordingError(
            "sampling_rate",
            f"{path.name}: SamplingInterval is {interval_us!r}; {1e6 / high:g} to {1e6 / low:g} µs are allowed",
            FETCH_AGAIN,
        )
    return 1e6 / interval


def _beside(path: Path, name: str, suffix: str) -> tuple[Path, tuple[str, ...]]:
    """A file of the recording. Files that were renamed together, as for BIDS, still belong together."""
    stated = companion(path, name.replace("$b", path.stem))
    renamed = companion(path, f"{path.stem}{suffix}")
    if not stated.exists() and renamed.exists():
        return renamed, ("files_renamed",)
    # The file may belong to another recording, and it is not the file in a list of side files or checksums.
    return stated, () if stated == renamed else ("files_other_name",)


def _markers(path: Path, name: str) -> tuple[Path | None, tuple[str, ...]]:
    if not name:
        return None, ()
    marker_path, flags = _beside(path, name, ".vmrk")
    refuse_irregular(marker_path)
    return (marker_path, flags) if marker_path.is_file() else (None, ("markers_missing",))


def _n_samples(path: Path, data_path: Path, instant_bytes: int, stated: str | None) -> int:
    try:
        size = data_path.stat().st_size
    except OSError as error:
        raise RecordingError(
            "data_missing",
            f"{data_path.name}: the file with the samples is not there ({error.strerror})",
            f"put it beside {path.name}; a cloned data set may need to fetch it first",
        ) from error
    n_samples = size // instant_bytes
    if not size or size % instant_bytes or _whole(stated or "0") not in {None, 0, n_samples}:
        points = f", DataPoints is {stated}" if stated else ""
        raise RecordingError(
            "data_size",
            f"{data_path.name}: {size} bytes; one sample of all channels takes {instant_bytes}{points}",
            FETCH_AGAIN,
        )
    return n_samples


def _bad(path: Path, name: str, found: str | None, allowed: str) -> RecordingError:
    return RecordingError(
        "brainvision_header", f"{path.name}: {name} is {found or 'empty'!r}; it must be {allowed}", FETCH_AGAIN
    )
