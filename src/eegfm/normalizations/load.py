"""Build normalizations, new ones and those of checkpoints."""

from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint
from eegfm.normalizations.base import Normalization
from eegfm.normalizations.config import NormalizationBase
from eegfm.normalizations.said import normalization_of


def new_normalization(config: NormalizationBase, spec: SignalSpec) -> Normalization:
    """Build a normalization for the windows behind the adapter.

    Raises:
        ConfigError: The configuration does not fit the data.
    """
    normalization = config.build(spec)
    assert isinstance(normalization, Normalization), f"{config.implementation} is no Normalization"
    return normalization


def build_normalization(checkpoint: Checkpoint, spec: SignalSpec) -> Normalization:
    """Rebuild the normalization of a checkpoint, in evaluation mode.

    Raises:
        CheckpointError: The configuration names nothing on the menu, or leaves out a choice.
        ConfigError: The configuration does not fit the data.
    """
    return new_normalization(normalization_of(checkpoint.header.normalization), spec).eval()
