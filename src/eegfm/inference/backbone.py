"""Backbone: re-referencing, adapter, normalization and encoder in one module."""

from collections.abc import Callable, Mapping
from typing import Protocol, cast, get_args

from torch import nn

from eegfm.adapters.base import Adapter
from eegfm.adapters.load import build_adapter, new_adapter, untrained_adapter_like
from eegfm.batch import SignalSpec, StoredBatch, WindowBatch
from eegfm.checkpoint import Checkpoint, CheckpointHeader
from eegfm.config import Buildable
from eegfm.encoders.base import Encoded, Encoder
from eegfm.encoders.load import build_encoder, new_encoder, untrained_like
from eegfm.encoders.traits import EncoderConfig
from eegfm.errors import CheckpointError
from eegfm.inference.encoder_code import refuse_other_code
from eegfm.nn.load_report import STRICT, LoadExceptions
from eegfm.nn.rereference import NewReference, Rereference
from eegfm.normalizations.base import Normalization
from eegfm.normalizations.config import Leak, NormalizationBase
from eegfm.normalizations.load import build_normalization, new_normalization
from eegfm.recording import BadChannels, Montage

Change = Callable[[WindowBatch], WindowBatch]
"""From re-referenced windows in microvolts to such windows."""


class Backbone(nn.Module):
    """All that stands between stored samples and encoded vectors.

    Its state dict holds the weights of the adapter under ``adapter.`` and those of the encoder under ``encoder.``, as
    checkpoints do, and nothing else: re-referencing and normalization have no weights.

    Args:
        rereference: From stored integers to re-referenced microvolts.
        adapter: From the montages of the data to the channels of the encoder.
        normalization: From microvolts to the unitless signal that the encoder takes.
        encoder: The encoder.
        spec: Specification of the data: montages as recorded, rate, window lengths.

    Raises:
        ConfigError: The adapter would mix patches of the encoder.
    """

    def __init__(
        self,
        rereference: Rereference,
        adapter: Adapter,
        normalization: Normalization,
        encoder: Encoder,
        spec: SignalSpec,
    ) -> None:
        super().__init__()
        adapter.check_patches(encoder.patch_samples)
        self.rereference, self.adapter, self.normalization, self.encoder = rereference, adapter, normalization, encoder
        self.spec = spec

    @property
    def encoder_spec(self) -> SignalSpec:
        """Describe what the encoder receives, behind re-referencing and the adapter; montages keep their names."""
        return self.adapter.adapted_spec(self.rereference.rereferenced_spec(self.spec))

    @property
    def leaks(self) -> tuple[Leak, ...]:
        """Choices of encoder and normalization by which tokens know of more than their own patch."""
        return (*self.encoder.leaks, *self.normalization.config.leaks)

    def prepare(self, batch: StoredBatch, change: Change | None = None) -> WindowBatch:
        """Re-reference, adapt and normalize one batch: (B, T, C) integers to the (B, C', T) that the encoder takes.

        Args:
            batch: Windows as stored.
            change: What is done to the re-referenced windows in microvolts before the adapter: augmentations.

        Raises:
            ConfigError: The batch's montage is not in ``spec``, or bad channels leave nothing of a window.
        """
        windows: WindowBatch = self.rereference(batch)
        if change is not None:
            windows = change(windows)
        normalized: WindowBatch = self.normalization(self.adapter(windows))
        return normalized

    def forward(self, batch: StoredBatch) -> Encoded:
        """Encode one batch of stored windows: vectors and features.

        Raises:
            ConfigError: See ``prepare``; or the encoder does not take windows of this length.
        """
        return self.encoder.encode_with_features(self.prepare(batch))

    def depth_groups(self) -> list[list[nn.Parameter]]:
        """Group all parameters by depth: adapter and embeddings first, then the encoder's layers; see ``Encoder``."""
        embeddings, *layers = self.encoder.depth_groups()
        return [[*self.adapter.parameters(), *embeddings], *layers]

    def lora_targets(self) -> dict[str, nn.Module]:
        """Find, by dotted name, the linear maps of the encoder whose weights LoRA can change, see ``Encoder``."""
        return {f"encoder.{name}": part for name, part in self.encoder.lora_targets().items()}


def new_backbone(
    encoder: EncoderConfig,
    adapter: Buildable,
    spec: SignalSpec,
    seed: int,
    *,
    reference: NewReference,
    bad_channels: BadChannels,
    normalization: NormalizationBase | None = None,
) -> Backbone:
    """Build a backbone whose initial weights follow from the seed alone; global random state is left as is.

    Args:
        encoder: Configuration of the encoder.
        adapter: Configuration of the adapter.
        spec: Specification of the data: montages as recorded, rate, window lengths.
        seed: Seed of the weights of adapter and encoder.
        reference: Reference of the windows, see ``Rereference``.
        bad_channels: Treatment of bad channels, see ``Rereference``.
        normalization: Configuration of the normalization; the encoder's own if not given.

    Raises:
        ConfigError: A configuration does not fit the data, or the adapter would mix patches of the encoder.
    """
    rereference = Rereference(spec.montages, reference, bad_channels)
    rereferenced_spec = rereference.rereferenced_spec(spec)
    built_adapter = new_adapter(adapter, rereferenced_spec, seed)
    adapted_spec = built_adapter.adapted_spec(rereferenced_spec)
    built_encoder = new_encoder(encoder, adapted_spec, seed)
    built_normalization = new_normalization(normalization or encoder.default_normalization, adapted_spec)
    return Backbone(rereference, built_adapter, built_normalization, built_encoder, spec)


class AsksBackbone(Protocol):
    """Choices that a backbone is built from; see ``new_backbone``."""

    @property
    def encoder(self) -> EncoderConfig:
        """Configuration of the encoder."""
        ...

    @property
    def adapter(self) -> Buildable:
        """Configuration of the adapter."""
        ...

    @property
    def seed(self) -> int:
        """Seed of the weights."""
        ...

    @property
    def reference(self) -> NewReference:
        """Reference of the windows."""
        ...

    @property
    def bad_channels(self) -> BadChannels:
        """Treatment of bad channels."""
        ...

    @property
    def chosen_normalization(self) -> NormalizationBase:
        """Configuration of the normalization; the encoder's own where none was chosen."""
        ...


def asked_backbone(params: AsksBackbone, spec: SignalSpec) -> Backbone:
    """Build the backbone that parameters ask for; see ``new_backbone``."""
    return new_backbone(
        params.encoder,
        params.adapter,
        spec,
        params.seed,
        reference=params.reference,
        bad_channels=params.bad_channels,
        normalization=params.chosen_normalization,
    )


def load_backbone(
    checkpoint: Checkpoint,
    spec: SignalSpec | None = None,
    *,
    accept_other_code: bool = False,
    key: str = "accept_other_code",
    exceptions: LoadExceptions = STRICT,
) -> Backbone:
    """Rebuild the backbone of a checkpoint with its weights, in evaluation mode, on the CPU.

    Args:
        checkpoint: Weights and header.
        spec: Describes the windows that it will meet, as recorded; those of the checkpoint if not given.
        accept_other_code: Whether weights that other code made are taken, with a warning.
        key: Name of the parameter that accepts, for the message.
        exceptions: Allowed differences of weights. Those that the checkpoint lacks come from the seed of its header.

    Raises:
        ConfigError: The adapter or the encoder does not fit the montages.
        CheckpointError: The weights do not fit the configuration, the configuration names nothing on the menu, or
            other code made the weights and that is not accepted.
    """
    refuse_other_code(checkpoint.header, accept=accept_other_code, key=key)
    spec = spec or SignalSpec.from_dict(checkpoint.header.signal_spec)
    rereference = rereference_for(checkpoint.header, spec.montages)
    rereferenced_spec = rereference.rereferenced_spec(spec)
    adapter = build_adapter(checkpoint, rereferenced_spec, exceptions=exceptions)
    adapted_spec = adapter.adapted_spec(rereferenced_spec)
    normalization = build_normalization(checkpoint, adapted_spec)
    encoder = build_encoder(checkpoint, adapted_spec.montages, exceptions=exceptions)
    return Backbone(rereference, adapter, normalization, encoder, spec).eval()


def untrained_backbone_like(checkpoint: Checkpoint, spec: SignalSpec | None, seed: int) -> Backbone:
    """Build the same architecture with fresh weights from a seed, in evaluation mode: the control of a probe.

    Args:
        checkpoint: Only its header is read.
        spec: See ``load_backbone``.
        seed: Seed of the weights of adapter and encoder.

    Raises:
        ConfigError: The adapter or the encoder does not fit the montages.
        CheckpointError: The configuration names nothing on the menu.
    """
    spec = spec or SignalSpec.from_dict(checkpoint.header.signal_spec)
    rereference = rereference_for(checkpoint.header, spec.montages)
    rereferenced_spec = rereference.rereferenced_spec(spec)
    adapter = untrained_adapter_like(checkpoint, rereferenced_spec, seed)
    adapted_spec = adapter.adapted_spec(rereferenced_spec)
    normalization = build_normalization(checkpoint, adapted_spec)
    encoder = untrained_like(checkpoint, seed, adapted_spec.montages)
    return Backbone(rereference, adapter, normalization, encoder, spec).eval()


def rereference_for(header: CheckpointHeader, montages: Mapping[str, Montage]) -> Rereference:
    """Build what re-references windows as an encoder expects them.

    Raises:
        CheckpointError: The reference is none that this version knows.
        ConfigError: A montage does not fit the reference.
    """
    known = get_args(NewReference)
    if header.reference not in known:
        raise CheckpointError(f"the encoder wants reference {header.reference!r}; known are {', '.join(known)}")
    return Rereference(montages, cast(NewReference, header.reference), header.bad_channels)
