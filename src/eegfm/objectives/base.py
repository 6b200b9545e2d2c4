"""Interface of all objectives: a loss to train a backbone with, and hooks around the optimizer steps."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import NamedTuple, Protocol, TypedDict, runtime_checkable

from torch import Tensor, nn

from eegfm.augmentations.chain import Augmentations
from eegfm.batch import StoredBatch, WindowBatch
from eegfm.encoders.base import Encoded, Encoder
from eegfm.inference.backbone import Backbone
from eegfm.nn.context import Context
from eegfm.objectives.base_config import EncoderFacts, ObjectiveConfig
from eegfm.objectives.heads.heads import NO_LABELS, HeadsOutput, Labels, new_heads

_BACKBONE_PREFIX = "backbone."


class LossOutput(NamedTuple):
    """Result of an objective on one micro-batch.

    Args:
        loss: Mean over the windows of the micro-batch, to be minimised.
        logs: Detached scalars worth logging, means over the same windows: ``loss``, and where it makes sense
            ``baseline_loss``, the loss of a prediction that does not look at the window. With auxiliary heads,
            ``own_loss`` is that of the objective without them.
        features: Encoded windows, where the objective has encoded any. Auxiliary heads need no second pass then, unless
            ``Objective.features_lack_patches``.
    """

    loss: Tensor
    logs: dict[str, Tensor]
    features: Encoded | None = None


class Reconstruction(TypedDict):
    """Masked and predicted patches for a plot. P patches per channel, K values per patch."""

    signal_uv: Tensor  # (B, C, T) microvolts, before they were normalized
    mask: Tensor  # (B, C, P) bool, True where the patch was masked
    target: Tensor  # (B, C, P, K) in the unit named below
    prediction: Tensor  # (B, C, P, K), predicted for every patch; only the masked ones were asked for
    unit: str  # such as "uV" or "log10 uV²/Hz"; of the normalized signal "1" or "log10 1/Hz"
    frequencies_hz: list[float]  # (K,) of a spectrum; empty for samples


class Objective(nn.Module, ABC):
    """Base of all objectives.

    Args:
        config: Choices.
        backbone: Everything from stored samples to encoded vectors; it is trained. It is a submodule:
            ``parameters()`` holds both.
        labels: What the training persons tell of the labels of auxiliary heads, by name.

    ``auxiliary`` holds the auxiliary heads that the configuration asks for.
    """

    def __init__(self, config: ObjectiveConfig, backbone: Backbone, *, labels: Labels = NO_LABELS) -> None:
        super().__init__()
        encoder = backbone.encoder
        config.check_encoder(
            EncoderFacts(encoder.name, encoder.traits, backbone.leaks, encoder.sight, encoder.has_rows)
        )
        self.backbone = backbone
        self.auxiliary = None if config.auxiliary is None else new_heads(config.auxiliary, labels, encoder.d_model)
        self.augmentations = Augmentations(config.augment, backbone.rereference.rereferenced_spec(backbone.spec))

    @property
    def encoder(self) -> Encoder:
        """The encoder that is trained."""
        return self.backbone.encoder

    @property
    def features_lack_patches(self) -> bool:
        """Tell whether the features of a ``LossOutput`` are of windows some of whose patches were hidden."""
        return False

    @property
    def encodes_untouched(self) -> bool:
        """Tell whether the features of a ``LossOutput`` are of windows in which nothing was changed or hidden."""
        return not len(self.augmentations.members) and not self.features_lack_patches

    @property
    def encoders(self) -> list[Encoder]:
        """All encoders that a step runs: the one that is trained, and those that look on, such as a teacher's."""
        return [self.encoder]

    @property
    def moved_parts(self) -> list[nn.Module]:
        """Modules whose state ``after_step`` moves without an optimizer: they cannot be frozen."""
        return []

    @property
    def whole_parts(self) -> list[nn.Module]:
        """Modules that see the windows of all ranks on every rank: their batch norms count all of them already."""
        return []

    def setup(self, batches: Iterable[StoredBatch], context: Context) -> None:
        """Estimate statistics of the data before the first step.

        Args:
            batches: Training windows of whole steps, the same on every rank. Each batch counts by its windows.
            context: Source of random choices.
        """

    def adapt(self) -> None:
        """Change the model once its weights have been taken over from a start: low-rank changes, for instance."""

    def forward(self, batch: StoredBatch, context: Context) -> LossOutput:
        """Compute the loss of one micro-batch, which is of one corpus and montage, with that of auxiliary heads.

        The heads take features of windows in which nothing is hidden: those that ``compute`` gives, or those of a pass
        of their own. An encoder that is shown half of each window gives other features of a whole one, and heads that
        were trained on the first fail on the second.

        Args:
            batch: Windows as stored.
            context: Place in the training, and source of every random choice.
        """
        output = self.compute(batch, context)
        if self.auxiliary is None:
            return output
        whole = None if self.features_lack_patches else output.features
        if whole is None:
            whole = self.encoder.encode_with_features(self.windows(batch, context))
        heads: HeadsOutput = self.auxiliary(whole.features.pooled, batch.get("targets", {}))
        loss = output.loss + heads.loss
        logs = output.logs | ({"own_loss": output.logs["loss"]} if "loss" in output.logs else {})
        both = sorted(logs.keys() & heads.logs.keys())
        assert not both, f"the objective and its heads both log {', '.join(both)}"
        return LossOutput(loss, {**logs, **heads.logs, "loss": loss.detach()}, output.features or whole)

    @abstractmethod
    def compute(self, batch: StoredBatch, context: Context) -> LossOutput:
        """Compute the loss that this objective is named for; see ``forward``."""

    def windows(self, batch: StoredBatch, context: Context) -> WindowBatch:
        """Prepare the windows of a batch for the encoder, changed by the augmentations: what it is shown."""
        return self.backbone.prepare(batch, lambda windows: self.augmentations(windows, context))

    def after_step(self, context: Context) -> None:
        """Follow an optimizer step, once: teachers and codebooks that are moving averages.

        What this changes lies in persistent buffers, or in weights that are not trained from the beginning on. Only the
        device knows whether a step was left out, because its loss is not finite. All of them are put back then. A
        weight that is trained may be kept within bounds: it was before the step, too.
        """

    def own_state(self) -> dict[str, Tensor]:
        """Return the weights and statistics of the objective without those of the backbone."""
        state = self.state_dict()
        return {name: value for name, value in state.items() if not name.startswith(_BACKBONE_PREFIX)}


@runtime_checkable
class Reconstructs(Protocol):
    """An objective that predicts something of the windows that can be shown beside them."""

    def reconstruct(self, batch: StoredBatch, context: Context) -> Reconstruction | None:
        """Show targets and predictions; with equal contexts the same patches are masked as in ``forward``.

        None where what is predicted cannot be shown.
        """
        ...


@runtime_checkable
class GivesCodes(Protocol):
    """An objective that gives each patch a code of a codebook.

    ``code_counts`` is the number (K,) of real patches that each code was given in the last micro-batch; None before.
    """

    code_counts: Tensor | None
