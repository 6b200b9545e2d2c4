"""The menu of channel adapters: typed choices, no torch."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from eegfm.config import Buildable


class NoAdapterConfig(Buildable):
    """Channels stay as they are: for encoders that know where each electrode sits."""

    implementation: ClassVar[str] = "eegfm.adapters.none:NoAdapter"

    name: Literal["none"] = "none"


AdapterConfig = Annotated[NoAdapterConfig, Field(discriminator="name")]
