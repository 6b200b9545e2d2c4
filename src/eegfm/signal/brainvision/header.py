"""Parse and check the header (``.vhdr``) of BrainVision recordings.

Source: Brain Products, "BrainVision Core Data Format 1.0". A fault of a channel that is no electrode is noted, and the
file is read without that channel.
"""

import configparser
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from eegfm.errors import RecordingError
from eegfm.signal.brainvision.fields import FETCH_AGAIN, text_of, whole
from eegfm.signal.companions import companion
from eegfm.signal.expected import SANE_RATES_HZ
from eegfm.signal.header import faulty_channel_flag
from eegfm.signal.montages.electrodes import clean_label
from eegfm.signal.pointers import refuse_pointer
from eegfm.signal.sniff import refuse_irregular
from eegfm.signal.text import stripped

DTYPES = {"INT_16": "i2", "INT_32": "i4", "IEEE_FLOAT_32": "f4"}
"""NumPy's names of the binary formats, without the byte order."""
ORIENTATIONS = frozenset({"MULTIPLEXED", "VECTORIZED"})
DEFAULT_UNIT = "µV"


class _Channel(NamedTuple):
    label: str
    unit: str
    resolution: float


@dataclass(frozen=True)
class BrainVisionHeader:
    """Fields of a ``.vhdr`` that decide signal and time.

    Args:
        labels: Channel names.
        units: Units as written; µV for an empty field, as in the format.
        resolutions: Units per stored step; NaN for a channel that is no electrode and states no such number.
        rate_hz: Sampling rate, exact.
        n_samples: Samples of one channel, by the size of the data file.
        dtype: NumPy's name of the stored numbers, with their byte order.
        is_multiplexed: Whether all channels of one instant stand together; otherwise all samples of one channel do.
        data_path: The data file, inside the header's folder.
        marker_path: The marker file, inside the header's folder; None if none is named or it does not exist.
        flags: Faults that leave signal and timing intact.
    """

    labels: tuple[str, ...]
    units: tuple[str, ...]
    resolutions: tuple[float, ...]
    rate_hz: Fraction
    n_samples: int
    dtype: str
    is_multiplexed: bool
    data_path: Path
    marker_path: Path | None
    flags: tuple[str, ...]


def read_vhdr(path: Path) -> BrainVisionHeader:
    """Read and check a header. Only the size of the data file is read.

    Raises:
        RecordingError: A field is missing or useless (``brainvision_header``), samples stand in an order that is not
            read (``brainvision_unreadable``), no EEG has such a rate (``sampling_rate``), the data file is missing
            (``data_missing``), has another size (``data_size``) or lies outside the folder (``data_outside_folder``).
    """
    sections = _sections(path)
    common = sections.get("common infos", {})
    if common.get("dataformat", "").upper() != "BINARY":
        raise _bad(path, "DataFormat", common.get("dataformat"), "BINARY; export the recording as binary data")
    orientation = common.get("dataorientation", "").upper()
    if orientation not in ORIENTATIONS:
        found = f"{path.name}: DataOrientation is {orientation or 'empty'!r}"
        raise RecordingError(
            "brainvision_unreadable", found, f"export it again with one of {', '.join(sorted(ORIENTATIONS))}"
        )
    binary = sections.get("binary infos", {})
    kind = binary.get("binaryformat", "")
    if kind not in DTYPES:
        raise _bad(path, "BinaryFormat", kind, f"one of {', '.join(DTYPES)}")
    is_big_endian = binary.get("usebigendianorder", "").upper() == "YES"
    channels = _channels(path, sections.get("channel infos", {}), common.get("numberofchannels", ""))
    data_path, data_flags = _beside(path, common.get("datafile", ""), ".eeg")
    marker_path, marker_flags = _markers(path, common.get("markerfile", ""))
    instant_bytes = len(channels) * int(DTYPES[kind][1])
    return BrainVisionHeader(
        labels=tuple(channel.label for channel in channels),
        units=tuple(channel.unit for channel in channels),
        resolutions=tuple(channel.resolution for channel in channels),
        rate_hz=_rate_hz(path, common.get("samplinginterval", "")),
        n_samples=_n_samples(path, data_path, instant_bytes, common.get("datapoints")),
        dtype=(">" if is_big_endian else "<") + DTYPES[kind],
        is_multiplexed=orientation == "MULTIPLEXED",
        data_path=data_path,
        marker_path=marker_path,
        flags=tuple(sorted({*data_flags, *marker_flags, *_channel_flags(channels)})),
    )


def stated_files(path: Path) -> tuple[Path, ...]:
    """The data file and the marker file that a header names, even if they do not exist.

    Raises:
        RecordingError: The header cannot be read, or leads out of its folder.
    """
    common = _sections(path).get("common infos", {})
    names = (common.get("datafile", ""), common.get("markerfile", ""))
    return tuple(companion(path, name.replace("$b", path.stem)) for name in names if name)


def _sections(path: Path) -> dict[str, dict[str, str]]:
    """Keys and values by section, names in lower case. The section ``comment`` is free text and is left out."""
    lines = text_of(path).splitlines()[1:]
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


def _channels(path: Path, infos: dict[str, str], stated: str) -> list[_Channel]:
    """The channels in the order of their numbers."""
    n_channels = whole(stated)
    if not n_channels:
        raise _bad(path, "NumberOfChannels", stated[:80], "a whole number from 1")
    channels = []
    for number in range(1, n_channels + 1):
        entry = infos.get(f"ch{number}")
        if entry is None or len(infos) != n_channels:
            found = f"{path.name}: NumberOfChannels is {stated}, [Channel Infos] lists {len(infos)} channels"
            raise RecordingError("channel_list", found, FETCH_AGAIN)
        fields = [stripped(field) for field in entry.split(",")] + [""] * 4
        label, resolution = fields[0].replace(r"\1", ","), fields[2] or "1"
        is_known = _number(resolution) > 0
        if not is_known and clean_label(label) is not None:
            raise _bad(path, f"resolution of Ch{number}", resolution, "a number above 0")
        # This character precedes the micro sign if UTF-8 was read as Latin-1.
        unit = fields[3].replace("\xc2", "") or DEFAULT_UNIT
        channels.append(_Channel(label, unit, _number(resolution) if is_known else math.nan))
    return channels


def _channel_flags(channels: Sequence[_Channel]) -> list[str]:
    faulty = [k for k, channel in enumerate(channels) if math.isnan(channel.resolution)]
    return [faulty_channel_flag(channels[k].label, k) for k in faulty]


def _number(text: str) -> float:
    """A finite number written with a decimal point, or NaN."""
    return float(text) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?", text) else float("nan")


def _rate_hz(path: Path, interval_us: str) -> Fraction:
    interval, (low, high) = _number(interval_us), SANE_RATES_HZ
    if not 1e6 / high <= interval <= 1e6 / low:
        raise RecordingError(
            "sampling_rate",
            f"{path.name}: SamplingInterval is {interval_us!r}; {1e6 / high:g} to {1e6 / low:g} µs are allowed",
            FETCH_AGAIN,
        )
    return 10**6 / Fraction(interval_us)


def _beside(path: Path, name: str, suffix: str) -> tuple[Path, tuple[str, ...]]:
    """A file of the recording. Files that were renamed together, as for BIDS, still belong together."""
    stated = companion(path, name.replace("$b", path.stem))
    renamed = companion(path, f"{path.stem}{suffix}")
    is_renamed = not stated.exists() and renamed.exists()
    refuse_pointer(renamed if is_renamed else stated)
    if is_renamed:
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
    if not size or size % instant_bytes or whole(stated or "0") not in {None, 0, n_samples}:
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
