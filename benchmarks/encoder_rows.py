"""Encoders in the documentation's table, with their published figures. No torch here.

Those of publications are normalized as published, as their figures stand beside published ones.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from eegfm.encoders.config import CbramodConfig, LabramConfig, LunaConfig

OWN_HZ, LABRAM_HZ, BIOFOUNDATION_HZ = 100.0, 200.0, 256.0
_LUNA = "arXiv 2510.22257"
_FEMBA = "arXiv 2502.06438"
_LABRAM = "arXiv 2405.18765; operations and memory: arXiv 2502.06438"
_CBRAMOD = "arXiv 2412.07236"


class Published(NamedTuple):
    """What a publication says.

    Args:
        parameters: In millions.
        source: Where it stands.
        gflops: Floating-point operations of a forward pass, in units of 10⁹, where stated.
        memory_mb: With a batch of 8, where stated.
    """

    parameters: float
    source: str
    gflops: float | None = None
    memory_mb: float | None = None


class Row(NamedTuple):
    """An encoder of the table.

    Args:
        config: Its configuration.
        rate_hz: Rate of the windows that it is shown.
        published: What is published about it.
        is_counted_only: Only count parameters; the smaller sizes are run.
        published_window: Channels and samples of the window that published figures are for.
    """

    config: Mapping[str, Any]
    rate_hz: float = OWN_HZ
    published: Published | None = None
    is_counted_only: bool = False
    published_window: tuple[int, int] | None = None


def _own(size: str, *, is_counted_only: bool = False, **choices: Any) -> Row:
    return Row({"name": "patch_transformer", "size": size, **choices}, is_counted_only=is_counted_only)


def _luna(size: str, parameters: float, *, is_counted_only: bool = True) -> Row:
    published = Published(parameters, _LUNA)
    config = {"name": "luna", "size": size, **LunaConfig.published}
    return Row(config, BIOFOUNDATION_HZ, published, is_counted_only, (22, 1280))


def _femba(size: str, parameters: float, gflops: float, memory_mb: float, *, is_counted_only: bool = True) -> Row:
    published = Published(parameters, _FEMBA, gflops, memory_mb)
    return Row({"name": "femba", "size": size}, BIOFOUNDATION_HZ, published, is_counted_only, (22, 1280))


ROWS: dict[str, Row] = {
    "patch_transformer tiny": _own("tiny"),
    "patch_transformer small": _own("small"),
    "patch_transformer small, full attention": _own("small", attention="full"),
    "patch_transformer base": _own("base"),
    "patch_transformer large": _own("large", is_counted_only=True),
    "luna base": _luna("base", 7.1, is_counted_only=False),
    "luna large": _luna("large", 43.1),
    "luna huge": _luna("huge", 311.8),
    "femba tiny": _femba("tiny", 7.8, 1.31, 53, is_counted_only=False),
    "femba base": _femba("base", 47.7, 7.52, 240),
    "femba large": _femba("large", 77.8, 12.48, 549),
    "femba huge": _femba("huge", 386, 58.7, 1886),
    "labram base": Row({"name": "labram", **LabramConfig.published}, LABRAM_HZ, Published(5.8, _LABRAM, 4.42, 757)),
    "cbramod": Row({"name": "cbramod", **CbramodConfig.published}, LABRAM_HZ, Published(4.0, _CBRAMOD)),
    "conv": Row({"name": "conv"}),
    "gru": Row({"name": "gru"}),
    "eegnet": Row({"name": "eegnet"}),
    "eegnex": Row({"name": "eegnex"}),
    "braindecode EEGConformer": Row({"name": "braindecode", "model": "EEGConformer"}, LABRAM_HZ),
}
