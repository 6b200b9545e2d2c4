"""Types of batches and of the signal specification."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, NotRequired, TypedDict

from eegfm.recording import Montage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


class Pairs(NamedTuple):
    """Likeness of the windows of a batch of pairs; windows i and i + B/2 are a pair, anchors first.

    Windows of one group whose places differ by no more than the reach are alike; those that are so without being a
    pair are no negatives of each other. Where there are blocks, only windows of one block are negatives of each other.
    ``eegfm.nn.false_negatives`` makes a mask of all that. The name of the pairing tells measures what a pair shares.
    """

    group: "Tensor"  # (B,) int64
    place: "Tensor"  # (B,) int64
    reach: int
    block: "Tensor | None" = None  # (B,) int64
    pairing: str = ""


class StoredBatch(TypedDict):
    """Windows as the store keeps them, all of one montage: what travels to the device."""

    samples: "Tensor"  # (B, T, C) int16, time-major as stored
    scales_uv: "Tensor"  # (B, C) float32, microvolts per integer step
    recording: "Tensor"  # (B,) int64, row of the recording in its store
    person: NotRequired["Tensor"]  # (B,) int64, number of the person in its corpus and split; from tables of persons
    first_row: NotRequired["Tensor"]  # (B,) int64, where in the store each begins; absent where nobody tells
    corpus: str
    montage: str
    is_bad: NotRequired["NDArray[np.bool_]"]  # (B, C), absent where no channel is bad; stays on the CPU, which decides
    targets: NotRequired[dict[str, "Tensor"]]  # as in WindowIndex: float32, NaN for unknown; int64 classes, -1
    pairs: NotRequired[Pairs]


class TrainStep(NamedTuple):
    """Micro-batches of one step of a plan, as one process sees them.

    Args:
        number: Number of the step, counted from 0 over all epochs; in a validation, number of the batch.
        batches: Each of one corpus, montage and length, in the plan's order; the cuts of a micro-batch one after
            another.
        n_windows: Windows of the whole step, all processes together.
        n_cuts: Cuts of every micro-batch; each is a batch of its own.
        only_measured: Whether the features of the windows are measured, and no loss is computed of them.
    """

    number: int
    batches: list[StoredBatch]
    n_windows: int
    n_cuts: int = 1
    only_measured: bool = False


class WindowBatch(TypedDict):
    """Windows, re-referenced, all of one montage: what adapters, encoders and objectives see.

    Up to the adapter, ``signal`` is in microvolts. Behind the normalization it is unitless, and what it was made of
    travels along as ``signal_uv``.
    """

    signal: "Tensor"  # (B, C, T) float32 microvolts; behind the normalization unitless
    signal_uv: NotRequired["Tensor"]  # (B, C, T) float32 microvolts, behind the normalization
    channel_positions: "Tensor"  # (B, C, 3) float32 metres, head frame
    second_positions: NotRequired["Tensor"]  # (B, C, 3) of the electrodes that bipolar derivations subtract
    channel_mask: "Tensor"  # (B, C) bool, False for a channel that is only padding, or bad in its recording
    known_mask: NotRequired["NDArray[np.bool_] | None"]  # (B or 1, C), see ``channel_padding``; stays on the CPU
    reference: str  # the reference after preparation, e.g. "average"
    recording: "Tensor"  # (B,) int64
    corpus: str
    montage: str
    person: NotRequired["Tensor"]  # (B,) int64
    targets: NotRequired[dict[str, "Tensor"]]
    pairs: NotRequired[Pairs]
    target_signal: NotRequired["Tensor"]  # (B, C, T) microvolts to ask for, where learned weights made the signal


def rank_slice(rank: int, world_size: int) -> slice:
    """Slice a whole micro-batch to the windows of one rank: every R-th of them, from the rank's own on.

    Masks and views that are drawn for the whole micro-batch are cut with the same slice, so that all ranks together
    equal one process. The slice has steps, not one contiguous part per rank, because of pairs: it cuts the anchors
    and the positives, one half each, alike. It also sends neighbours in a list of pairs, which are of one group, to
    different ranks. What a rank has is cut with the same slice where gradients are accumulated.
    """
    return slice(rank, None, world_size)


def padding_mask(batch: WindowBatch) -> "Tensor | None":
    """The channel mask of a batch in which a channel is only padding, else None.

    Nothing is looked up on the device where ``known_mask`` tells.
    """
    import torch

    if "known_mask" in batch:
        return None if batch["known_mask"] is None else batch["channel_mask"]
    mask = batch["channel_mask"]
    # One value spread over all channels, as batches without padding carry it, can only be True: that is known
    # without waiting for the device.
    if mask.stride() == (0, 0):
        return None
    # A traced program cannot look at values; it masks whether there is padding or not.
    return mask if torch.compiler.is_compiling() or not bool(mask.all()) else None


def channel_padding(batch: WindowBatch) -> "NDArray[np.bool_] | None":
    """The channel mask on the CPU: (B, C), or (1, C) where all windows share it; None where no channel is padding.

    Loading knows bad channels, and adapters know what they fill: both tell in ``known_mask``, so that nothing waits for
    the device. A batch without that key is looked up.
    """
    if "known_mask" in batch:
        return batch["known_mask"]
    mask = padding_mask(batch)
    return None if mask is None else mask.cpu().numpy()


@dataclass(frozen=True)
class SignalSpec:
    """Specification of the data for an encoder. A configuration holds choices, a specification holds facts.

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
    """Windows of one montage and one length of one corpus, ready to gather: columns, never lists of objects.

    Windows are numbered through runs of equally spaced windows, so that a grid costs a few bytes per segment and a
    table of single windows 16 bytes per window.

    Args:
        corpus: Corpus name.
        montage: Montage name.
        n_samples: Window length, the same for all.
        stride: Samples from one window of a run to the next.
        first_rows: (R,) int64 first row, among the mapped shards of the montage, of each run's first window.
        recordings: (R,) int32 row of each run's recording in the store's scale table.
        persons: (R,) int32 number of each run's person.
        ends: (R,) int64 number of windows up to and with each run; None where every run is one window.
        targets: By name, the targets of each run's windows: (R,) int32 number of a class, -1 where it is unknown;
            (R,) or, for several outputs, (R, K) float32, NaN where it is unknown.
    """

    corpus: str
    montage: str
    n_samples: int
    stride: int
    first_rows: "NDArray[np.int64]"
    recordings: "NDArray[np.int32]"
    persons: "NDArray[np.int32]"
    ends: "NDArray[np.int64] | None" = None
    targets: "Mapping[str, NDArray[Any]]" = field(default_factory=dict)

    def __len__(self) -> int:
        if self.ends is None:
            return len(self.first_rows)
        return int(self.ends[-1]) if len(self.ends) else 0

    @property
    def n_bytes(self) -> int:
        """Memory of the columns."""
        columns = (self.first_rows, self.recordings, self.persons, self.ends, *self.targets.values())
        return sum(column.nbytes for column in columns if column is not None)

    def locate(self, positions: "NDArray[np.int64]") -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
        """First rows among the mapped shards, and rows of the scale table, of the windows with these numbers."""
        run, offsets = self.runs_of(positions)
        return self.first_rows[run] + offsets * self.stride, self.recordings[run].astype("int64")

    def runs_of(self, positions: "NDArray[np.int64]") -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
        """Run that each window belongs to, and its number within the run."""
        if self.ends is None:
            return positions, positions * 0
        run = self.ends.searchsorted(positions, side="right")
        before = self.ends[run - 1] * (run > 0)
        return run, positions - before
