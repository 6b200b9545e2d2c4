"""The shapes that travel through training: what one batch holds and what the data decides about a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from eegfm.recording import Montage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


class StoredBatch(TypedDict):
    """Windows as the store keeps them, all of one montage: what travels to the device."""

    samples: "Tensor"  # (B, T, C) int16, time-major as stored
    scales_uv: "Tensor"  # (B, C) float32, microvolts per integer step
    recording: "Tensor"  # (B,) int64, row of the recording in its store
    corpus: str
    montage: str
    label: NotRequired["Tensor"]  # (B,) int64 class or float32 target


class WindowBatch(TypedDict):
    """Windows in microvolts, re-referenced, all of one montage: what encoders and objectives see."""

    signal: "Tensor"  # (B, C, T) float32 microvolts
    channel_positions: "Tensor"  # (B, C, 3) float32 metres, head frame
    channel_mask: "Tensor"  # (B, C) bool, False for a channel that is only padding
    reference: str  # the reference after preparation, e.g. "average"
    recording: "Tensor"  # (B,) int64
    corpus: str
    montage: str
    label: NotRequired["Tensor"]


@dataclass(frozen=True)
class SignalSpec:
    """What the data decides about an encoder. Configuration says choices; this says facts.

    Args:
        rate_hz: Sampling rate of every window.
        montages: By name, the montages that occur.
        n_samples: By montage name, the longest window in samples.
    """

    rate_hz: float
    montages: Mapping[str, Montage]
    n_samples: Mapping[str, int]

    def __post_init__(self) -> None:
        assert set(self.montages) == set(self.n_samples), "one window length per montage"
        assert self.montages, "at least one montage"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; ``from_dict`` is its inverse."""
        return {
            "rate_hz": self.rate_hz,
            "montages": {name: m.to_dict() for name, m in self.montages.items()},
            "n_samples": dict(self.n_samples),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "SignalSpec":
        """Build from ``to_dict``'s form."""
        montages = {name: Montage.from_dict(m) for name, m in data["montages"].items()}
        return cls(float(data["rate_hz"]), montages, dict(data["n_samples"]))


@dataclass(frozen=True)
class WindowIndex:
    """Windows of one montage of one corpus, ready to gather: columns, never lists of objects.

    Args:
        corpus: Corpus name.
        montage: Montage name.
        rows: (W,) int64 first row of each window in the montage's arena.
        scale_rows: (W,) int64 row of each window's recording in the store's scale table.
        n_samples: Window length, the same for all.
    """

    corpus: str
    montage: str
    rows: "NDArray[np.int64]"
    scale_rows: "NDArray[np.int64]"
    n_samples: int

    def __len__(self) -> int:
        return len(self.rows)
