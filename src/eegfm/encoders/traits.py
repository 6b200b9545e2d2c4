"""What an encoder can do, known before it is built. No torch here."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from eegfm.config import Buildable


@dataclass(frozen=True)
class Traits:
    """Promises that the contract tests hold an encoder to, and that objectives ask for before anything runs.

    Args:
        output: What an encoded vector stands for: one token, one patch of time with all channels in it, or the whole
            window (``window``: features, no tokens).
        supports_visible: Encodes a subset of the tokens at the cost of the subset, with the result of hiding the rest.
        any_order: Permuting channels together with their positions permutes rows of output and changes nothing else.
        one_montage: Tied to the channels and the order of one montage; others need an adapter in front.
        one_length: Tied to one window length.
    """

    output: Literal["tokens", "patches", "window"] = "tokens"
    supports_visible: bool = False
    any_order: bool = False
    one_montage: bool = False
    one_length: bool = False


class EncoderChoice(Buildable):
    """Base of the configurations of encoders."""

    traits: ClassVar[Traits] = Traits()
    name: str
