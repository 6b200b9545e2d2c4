"""Union of the masks. No torch here.

Of every window, exactly ``round(mask_ratio * n)`` units are hidden, where the unit is that of the mask: a token, a
channel (a row of tokens) or a patch of all channels. Bad channels are never hidden, and count for nothing.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from eegfm.config import Count, StrictModel
from eegfm.errors import ConfigError

Unit = Literal["tokens", "channels", "patches"]


class MaskBase(StrictModel):
    """Base of the masks."""

    unit: ClassVar[Unit] = "tokens"
    """What ``mask_ratio`` is a share of."""
    hides_whole_patches: ClassVar[bool] = False
    """Whether all channels of a patch can be hidden together, as they must be where learned weights mix channels."""
    name: str

    def check(self, patch_samples: int, channels_per_token: int, key: str = "objective.mask") -> None:
        """Refuse a mask that does not fit the tokens of an encoder.

        Args:
            patch_samples: Samples of a patch.
            channels_per_token: Channels of a token.
            key: Name of the parameter, for the message.

        Raises:
            ConfigError: It does not; with the nearest that does.
        """


class RandomMask(MaskBase):
    """Any tokens."""

    hides_whole_patches: ClassVar[bool] = True

    name: Literal["random"] = "random"


class ChannelsMask(MaskBase):
    """Whole channels, anywhere on the scalp."""

    unit: ClassVar[Unit] = "channels"

    name: Literal["channels"] = "channels"


class TimeBlockMask(MaskBase):
    """Neighbouring patches of all channels: blocks of time.

    Args:
        n_blocks: Blocks, about equally long, with visible patches between them; fewer where a window has no room.
    """

    unit: ClassVar[Unit] = "patches"
    hides_whole_patches: ClassVar[bool] = True

    name: Literal["time_block"] = "time_block"
    n_blocks: Count = 1


class SpatialBlockMask(MaskBase):
    """Whole channels in one place: a drawn channel and those nearest to it (Signal-JEPA, arXiv 2403.11772)."""

    unit: ClassVar[Unit] = "channels"

    name: Literal["spatial_block"] = "spatial_block"


class RectangleMask(MaskBase):
    """Rectangles of neighbouring channels and patches, drawn one after the other, of which the last may be cut short.

    Channels are grouped by their distance on the scalp. The groups and the blocks of patches at the edge that are
    smaller than the others count as rectangles as well: every token can be hidden.

    Args:
        channels: Channels of a rectangle: a multiple of the encoder's channels per token.
        samples: Samples of a rectangle: a multiple of the encoder's patch.
    """

    name: Literal["rectangle"] = "rectangle"
    channels: Count = 2
    samples: Count

    def check(self, patch_samples: int, channels_per_token: int, key: str = "objective.mask") -> None:
        """Refuse rectangles that cut tokens; see the base class."""
        for name, value, unit, what in (
            ("channels", self.channels, channels_per_token, "channels of a token of the encoder"),
            ("samples", self.samples, patch_samples, "samples of a patch of the encoder"),
        ):
            if value % unit:
                nearest = max(round(value / unit), 1) * unit
                raise ConfigError(f"{key}.{name} {value} is no multiple of the {unit} {what}; nearest: {nearest}")


class RectangularVisibleMask(MaskBase):
    """All but some channels times some patches: what is visible is one rectangle, after a permutation of its lines.

    Encoders with alternating or criss-cross attention that encode visible tokens only save time with such a set. The
    visible share is as near to ``1 - mask_ratio`` as whole channels and patches allow.
    """

    hides_whole_patches: ClassVar[bool] = True

    name: Literal["rectangular_visible"] = "rectangular_visible"


MaskConfig = Annotated[
    RandomMask | ChannelsMask | TimeBlockMask | SpatialBlockMask | RectangleMask | RectangularVisibleMask,
    Field(discriminator="name"),
]
"""Union of the masks."""
