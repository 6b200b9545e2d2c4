"""Types for facts about one recording and one montage.

corpus → subject → session → recording (one file) → segment (a stretch without gaps) → window → patch → token.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Reference = Literal["average", "linked_ears", "Cz", "A1", "A2", "M1", "M2", "either_ear", "either_mastoid", "unknown"]
"""Reference of the stored signals.

``either_ear`` and ``either_mastoid``: some channels are recorded against the left one (A1, M1), the others against the
right one (A2, M2), so that they have no common reference.
"""
BadChannels = Literal["mask", "interpolate"]
"""Treatment of bad channels before the encoder, see ``eegfm.nn.rereference.Rereference``."""
_BIDS_PREFIX = re.compile(r"^(?:sub-\s*)+")


@dataclass(frozen=True)
class Montage:
    """The channels that all recordings of one group share, in store order.

    Args:
        channel_names: Clean electrode names, e.g. ``("Fp1", "Fz")`` or ``("E1", "Cz")``.
        positions_m: (C, 3) electrode positions in metres, head frame (x right, y front, z up).
        is_scalp: Per channel, whether it belongs to the scalp (ears and mastoids do not) and thus to the common
            average.
        reference: Reference of the recordings.
        is_digitized: Whether positions were measured on this head; otherwise the names alone decide them.
    """

    channel_names: tuple[str, ...]
    positions_m: tuple[tuple[float, float, float], ...]
    is_scalp: tuple[bool, ...]
    reference: Reference
    is_digitized: bool = False

    def __post_init__(self) -> None:
        n = len(self.channel_names)
        assert n == len(self.positions_m) == len(self.is_scalp), "one position and one flag per channel"
        assert len(set(self.channel_names)) == n, "channel names are unique"

    @property
    def n_channels(self) -> int:
        """Number of channels C."""
        return len(self.channel_names)

    @property
    def name(self) -> str:
        """Readable and unique: channel count, reference, and a hash of the names, e.g. ``21ch-average-1f0c5e``.

        Measured positions add a hash, so every digitized cap has its own name.
        """
        name = f"{self.n_channels}ch-{self.reference}-{_hash((*self.channel_names, self.reference))[:6]}"
        if self.is_digitized:
            name += f"-{_hash(' '.join(str(float(v)) for v in xyz) for xyz in self.positions_m)[:12]}"
        return name

    def positions(self) -> NDArray[np.float32]:
        """Positions as a (C, 3) float32 array in metres."""
        return np.asarray(self.positions_m, dtype=np.float32).reshape(-1, 3)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; ``from_dict`` is its inverse."""
        return {
            "channel_names": list(self.channel_names),
            "positions_m": [list(p) for p in self.positions_m],
            "is_scalp": list(self.is_scalp),
            "reference": self.reference,
            "is_digitized": self.is_digitized,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Montage":
        """Build from ``to_dict``'s form."""
        positions = tuple((float(x), float(y), float(z)) for x, y, z in data["positions_m"])
        return cls(
            tuple(data["channel_names"]),
            positions,
            tuple(data["is_scalp"]),
            data["reference"],
            data.get("is_digitized", False),  # stores and checkpoints from before it existed hold templates only
        )


def _hash(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def normalized_subject(subject: str) -> str:
    """Normalize the spelling of a subject id for comparisons.

    The result has Unicode's NFKC_Casefold (no case, no width, no invisible characters), no surrounding blanks and no
    BIDS prefix ``sub-``. Other differences are kept: ``S1`` and ``S01``, or ``S-1`` and ``S1``, may be two persons.
    """
    visible = "".join(c for c in unicodedata.normalize("NFKC", subject) if unicodedata.category(c) != "Cf")
    folded = unicodedata.normalize("NFKC", visible.casefold())
    return _BIDS_PREFIX.sub("", folded.strip())


def person_id(corpus: str, subject: str) -> str:
    """Name of a person in the tables of a corpus. It is the same for every spelling of the subject id."""
    return f"{corpus}:{normalized_subject(subject)}"
