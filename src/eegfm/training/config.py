"""Parameters of a phase of training. No torch and no Lightning here."""

from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveFloat, model_validator

from eegfm.adapters.config import AdapterConfig, NoAdapterConfig
from eegfm.config import Count, Number, StrictModel
from eegfm.encoders.config import AnyEncoderConfig, PatchTransformerConfig
from eegfm.normalizations.config import NormalizationBase, NormalizationConfig
from eegfm.objectives.config import AnyObjectiveConfig, MaskedConfig
from eegfm.recording import BadChannels
from eegfm.training.blocks import LoaderParams, ShuffleParams
from eegfm.training.optimizers.config import AdamWConfig, OptimizerConfig
from eegfm.training.schedules.config import ScheduleConfig, WarmupCosineConfig


class PretrainParams(StrictModel):
    """All that a pretraining run is told, apart from its data.

    Args:
        encoder: The encoder to train.
        adapter: Adapter from every montage to the channels of the encoder. Its weights are trained too.
        normalization: Normalization of the signal before the encoder; the encoder's own if not given.
        objective: The self-supervised task.
        optimizer: The optimizer.
        schedule: Schedule of the learning rate.
        reference: Reference of the windows for the encoder.
        bad_channels: ``mask`` leaves them out of the average and of all that the encoder sees; ``interpolate`` puts in
            their place what splines through the good scalp electrodes say. See ``eegfm.nn.rereference.Rereference``.
        batch_size: Windows per optimizer step, all corpora together; the corpus weights must divide it.
        n_steps: Optimizer steps; give this or ``n_epochs``.
        n_epochs: Passes, each of as many windows as there are in all corpora together.
        shuffle: Shuffling of windows; fully by default, for signals in memory or on a fast disk.
        loader: Loading of batches to the device.
        gradient_clip: Largest norm of the gradient; longer gradients are scaled down.
        seed: Seed of initial weights, order of windows and masks.
        license: License of the weights for the checkpoint's header; None if not given.
        log_interval_steps: Steps between two points of the history.
        validation_interval_steps: Steps between two validations; one more follows the last step.
        n_validation_windows: Largest number of windows per corpus that a validation looks at, spread evenly.
        accelerator: Device of the training.
        devices: Number of devices.
        precision: Number format of matrix products. ``bf16-mixed`` is refused on a CPU that computes it wrong.
        progress_bar: Whether to draw one; only ever on a terminal. Elsewhere a line every ten seconds is logged.
        overwrite: Replace a stored encoder that this training would not make again: an imported one, or one that other
            parameters, other data or other code made. Otherwise it is refused.
    """

    encoder: AnyEncoderConfig = PatchTransformerConfig()
    adapter: AdapterConfig = NoAdapterConfig()
    normalization: NormalizationConfig | None = None
    objective: AnyObjectiveConfig = MaskedConfig()
    optimizer: OptimizerConfig = AdamWConfig()
    schedule: ScheduleConfig = WarmupCosineConfig()
    reference: Literal["average", "as_recorded", "tcp_bipolar"] = "average"
    bad_channels: BadChannels = "mask"
    batch_size: Count = 40
    n_steps: Number | None = None
    n_epochs: Number | None = None
    shuffle: ShuffleParams = ShuffleParams()
    loader: LoaderParams = LoaderParams()
    gradient_clip: PositiveFloat = 1.0
    seed: NonNegativeInt = 0
    license: str | None = None
    log_interval_steps: Number = 10
    validation_interval_steps: Number = 100
    n_validation_windows: Number = 200
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: Literal[1] = 1
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    progress_bar: bool = True
    overwrite: bool = False

    @model_validator(mode="after")
    def _one_length(self) -> "PretrainParams":
        if (self.n_steps is None) == (self.n_epochs is None):
            raise ValueError(f"n_steps is {self.n_steps} and n_epochs is {self.n_epochs}; give exactly one of them")
        return self

    @property
    def chosen_normalization(self) -> NormalizationBase:
        """The normalization that is configured, or the encoder's own."""
        return self.normalization or self.encoder.default_normalization

    @model_validator(mode="after")
    def _encoder_can(self) -> "PretrainParams":
        self.objective.check_encoder(self.encoder, self.chosen_normalization)
        return self

    def identity(self) -> dict[str, Any]:
        """Options that decide the result.

        Left out are those for the machine, the display, the header's license and the file that is replaced.
        """
        without = {"accelerator", "devices", "license", "loader", "overwrite", "progress_bar"}
        chosen = {"normalization": self.chosen_normalization.model_dump(mode="json")}
        return self.model_dump(mode="json", exclude=without) | chosen
