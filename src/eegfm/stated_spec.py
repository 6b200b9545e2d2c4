"""Limits of what a checkpoint's header may say of signals: sizes are checked before memory follows them."""

from typing import Annotated, Any

from pydantic import Field, StrictBool, StringConstraints, TypeAdapter

from eegfm.config import StrictModel

MAX_CHANNELS = 4096
"""Most channels of a montage. Re-referencing takes a square matrix of them."""
MAX_SAMPLES = 10**8
"""Most samples of a window."""
_Coordinate = Annotated[float, Field(allow_inf_nan=False)]


class StatedMontage(StrictModel):
    """A montage as a header states it, see ``eegfm.recording.Montage.to_dict``."""

    channel_names: list[Annotated[str, StringConstraints(max_length=200)]] = Field(max_length=MAX_CHANNELS)
    positions_m: list[tuple[_Coordinate, _Coordinate, _Coordinate]] = Field(max_length=MAX_CHANNELS)
    is_scalp: list[StrictBool] = Field(max_length=MAX_CHANNELS)
    reference: str
    is_digitized: StrictBool = False


class StatedSpec(StrictModel):
    """Signals as a header states them, see ``eegfm.batch.SignalSpec.to_dict``."""

    rate_hz: float = Field(gt=0, le=1e7)
    montages: dict[str, StatedMontage]
    n_samples: dict[str, Annotated[int, Field(gt=0, le=MAX_SAMPLES)]]


_SPEC = TypeAdapter(StatedSpec)


def check_spec(data: dict[str, Any]) -> dict[str, Any]:
    """Check the plain form of a specification and return it as it is.

    Raises:
        ValueError: A size is beyond its limit, a field is missing or of another kind, or fields contradict each other.
    """
    spec = _SPEC.validate_python(data)
    if spec.montages.keys() != spec.n_samples.keys():
        raise ValueError("montages and n_samples name different montages")
    for name, montage in spec.montages.items():
        names = montage.channel_names
        if not len(set(names)) == len(names) == len(montage.positions_m) == len(montage.is_scalp):
            raise ValueError(f"montage {name[:80]!r} has not one name of its own, position and flag per channel")
    return data
