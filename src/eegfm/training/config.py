"""Parameters of training: optimizers, schedules, and one model per phase. No torch and no Lightning here."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, model_validator

from eegfm.adapters.config import AdapterConfig, NoAdapterConfig
from eegfm.config import Buildable, Count, Number, StrictModel
from eegfm.encoders.config import AnyEncoderConfig, PatchTransformerConfig
from eegfm.normalizations.config import NormalizationBase, NormalizationConfig
from eegfm.objectives.config import AnyObjectiveConfig, MaskedConfig
from eegfm.recording import BadChannels


class AdamWConfig(Buildable):
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101).

    Args:
        learning_rate: Peak of the schedule.
        betas: Decay of the running means of gradient and squared gradient.
        eps: Added to the denominator.
        weight_decay: Applied to matrices only; norms, biases and embeddings are left alone.
    """

    implementation: ClassVar[str] = "eegfm.training.optim:build_adamw"

    name: Literal["adamw"] = "adamw"
    learning_rate: PositiveFloat = 3e-3
    betas: tuple[float, float] = (0.9, 0.98)
    eps: PositiveFloat = 1e-8
    weight_decay: float = Field(default=0.05, ge=0)


class WarmupCosineConfig(Buildable):
    """Rise linearly, fall along half a cosine, once per optimizer step.

    Args:
        warmup_ratio: Share of all steps that rise.
        final_ratio: Learning rate of the last step over the peak.
    """

    implementation: ClassVar[str] = "eegfm.training.schedule:build_warmup_cosine"

    name: Literal["warmup_cosine"] = "warmup_cosine"
    warmup_ratio: float = Field(default=0.1, ge=0, lt=1)
    final_ratio: float = Field(default=0.01, ge=0, le=1)


OptimizerConfig = Annotated[AdamWConfig, Field(discriminator="name")]
ScheduleConfig = Annotated[WarmupCosineConfig, Field(discriminator="name")]


class ShuffleParams(StrictModel):
    """Shuffling of the windows of a group: one by one, or in runs that a disk reads at once.

    Args:
        run_windows: Neighbouring windows that are read together; 1 shuffles every window on its own.
        pool_windows: Windows of many runs that are read together and drawn from one by one.
    """

    run_windows: Number = 1
    pool_windows: Number = 65_536

    @model_validator(mode="after")
    def _pool_holds_runs(self) -> "ShuffleParams":
        if self.pool_windows < self.run_windows:
            raise ValueError(
                f"pool_windows {self.pool_windows} is less than run_windows {self.run_windows}; a pool holds many runs"
            )
        return self


class LoaderParams(StrictModel):
    """Loading of batches to the device. No option changes the contents of batches.

    Args:
        n_ahead: Steps that are gathered while earlier ones train.
        read_ahead_steps: Steps whose samples are read from a disk while earlier ones are gathered.
        residency: ``disk`` gathers from the stores; ``device`` first copies all signals of the mixture to the device;
            ``auto`` does so on an accelerator that has room for them.
        device_memory_ratio: Largest share of the device's free memory that signals may take.
        verify: When stored samples are compared with their checksums. ``before_training`` reads all recordings of the
            mixture once before the first step; ``first_read`` compares each block when a window of it is drawn for the
            first time; ``off`` trains on whatever is stored.
    """

    n_ahead: Count = 4
    read_ahead_steps: NonNegativeInt = 64
    residency: Literal["auto", "disk", "device"] = "auto"
    device_memory_ratio: float = Field(default=0.5, gt=0, le=1)
    verify: Literal["before_training", "first_read", "off"] = "before_training"


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

    @model_validator(mode="after")
    def _encoder_can(self) -> "PretrainParams":
        self.objective.check_encoder(self.encoder, self.chosen_normalization)
        return self

    def identity(self) -> dict[str, Any]:
        """Options that decide the result.

        Left out are those for the machine, the display, the header's license and the file that is replaced.
        """
        without = {"accelerator", "devices", "license", "loader", "overwrite", "progress_bar"}
        plain = self.model_dump(mode="json", exclude=without)
        return plain | {"normalization": self.chosen_normalization.model_dump(mode="json")}

    @property
    def chosen_normalization(self) -> NormalizationBase:
        """The normalization that is configured, or the encoder's own."""
        return self.normalization or self.encoder.default_normalization
