"""Small encoders of other families than transformers, and the supervised floors that honest tables include."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from eegfm.encoders.traits import EncoderChoice, Traits


class ChannelwiseConfig(EncoderChoice):
    """Base of encoders that mix each channel over time, then the channels.

    Args:
        patch_s: Length of a patch; windows must be whole numbers of patches.
        d_model: Width D of a token.
        n_layers: Number of layers.
        dropout_ratio: Share of activations dropped while training.
        signal_scale_uv: Microvolts that enter the network as 1.
        clip: Largest absolute value after scaling; artefacts beyond it are cut to it.
        n_position_frequencies: Fourier frequencies per axis that describe an electrode's place.
    """

    traits: ClassVar[Traits] = Traits(any_order=True)

    patch_s: PositiveFloat = 1.0
    d_model: PositiveInt = 128
    n_layers: PositiveInt = 4
    dropout_ratio: float = Field(default=0.0, ge=0, lt=1)
    signal_scale_uv: PositiveFloat = 30.0
    clip: PositiveFloat = 15.0
    n_position_frequencies: PositiveInt = 4


class ConvConfig(ChannelwiseConfig):
    """A convolutional encoder of tokens, channel by channel.

    Args:
        kernel_size: Patches that a convolution sees, odd. Dilations are 1, 2, 4, 8 and again.
    """

    implementation: ClassVar[str] = "eegfm.encoders.channelwise.conv:Conv"

    name: Literal["conv"] = "conv"
    kernel_size: PositiveInt = 3

    @model_validator(mode="after")
    def _kernel_has_a_middle(self) -> "ConvConfig":
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size {self.kernel_size} is even; a kernel sees as far back as ahead: odd")
        return self


class GruConfig(ChannelwiseConfig):
    """A recurrent encoder of tokens, channel by channel, both ways through time."""

    implementation: ClassVar[str] = "eegfm.encoders.channelwise.gru:Gru"

    name: Literal["gru"] = "gru"

    @model_validator(mode="after")
    def _two_halves(self) -> "GruConfig":
        if self.d_model % 2:
            raise ValueError(f"d_model {self.d_model} is odd; half of it runs forwards, half backwards: even")
        return self


class WindowConfig(EncoderChoice):
    """Base of encoders that give features of a whole window and no tokens.

    Args:
        signal_scale_uv: Microvolts that enter the network as 1.
        clip: Largest absolute value after scaling; artefacts beyond it are cut to it.
    """

    traits: ClassVar[Traits] = Traits(output="window", one_montage=True, one_length=True)

    signal_scale_uv: PositiveFloat = 30.0
    clip: PositiveFloat = 15.0


class FloorConfig(WindowConfig):
    """Base of the supervised floors: published convolutional networks without their classifier.

    Lengths in time are samples at ``design_rate_hz``, the rate that a network was published at. At another rate
    kernels keep their duration and poolings bring the signal to nearly the published rate. Naming the data's own rate
    as ``design_rate_hz`` takes all lengths as samples, whatever the rate.

    Args:
        dropout_ratio: Share of activations dropped while training.
        batch_norm_momentum: Weight of a new batch in the running statistics that evaluation uses.
        design_rate_hz: Rate at which lengths are given.
    """

    dropout_ratio: float = Field(default=0.5, ge=0, lt=1)
    batch_norm_momentum: float = Field(default=0.1, gt=0, le=1)
    design_rate_hz: PositiveFloat = 250.0


class EegnetConfig(FloorConfig):
    """EEGNet-8,2 (Lawhern et al. 2018, arXiv 1611.08024): temporal, spatial and separable convolutions.

    The published networks let running statistics follow with a momentum of 0.01; runs of a few hundred steps would
    then be evaluated with statistics of the initial weights.

    Args:
        n_temporal_filters: Temporal filters (F1).
        n_spatial_filters: Spatial filters for each of them (D).
        n_pointwise_filters: Maps of the separable convolution (F2).
        kernel_samples: Temporal kernel; half a second at the published 128 Hz.
        separable_kernel_samples: Kernel behind the first pooling, in samples at the rate there.
        first_pool_samples: First pooling.
        second_pool_samples: Second pooling, in samples at the rate there.
        max_norm: Largest norm of a spatial filter.
    """

    implementation: ClassVar[str] = "eegfm.encoders.floors.eegnet:Eegnet"

    name: Literal["eegnet"] = "eegnet"
    n_temporal_filters: PositiveInt = 8
    n_spatial_filters: PositiveInt = 2
    n_pointwise_filters: PositiveInt = 16
    kernel_samples: PositiveInt = 64
    separable_kernel_samples: PositiveInt = 16
    first_pool_samples: PositiveInt = 4
    second_pool_samples: PositiveInt = 8
    max_norm: PositiveFloat = 1.0
    dropout_ratio: float = Field(default=0.25, ge=0, lt=1)
    design_rate_hz: PositiveFloat = 128.0


class EegnexConfig(FloorConfig):
    """EEGNeX-8,32 (Chen et al. 2024, arXiv 2207.12369): EEGNet with more temporal filters and dilated convolutions.

    Args:
        n_first_filters: Temporal filters of the first and the last convolution.
        n_filters: Temporal filters of the second and the fourth convolution.
        n_spatial_filters: Spatial filters for each of the second's.
        kernel_samples: Kernels of the first two convolutions.
        dilated_kernel_samples: Kernels behind the first pooling, in samples at the rate there; dilated by 2, then 4.
        first_pool_samples: First pooling.
        second_pool_samples: Second pooling, in samples at the rate there.
        max_norm: Largest norm of a spatial filter.
    """

    implementation: ClassVar[str] = "eegfm.encoders.floors.eegnex:Eegnex"

    name: Literal["eegnex"] = "eegnex"
    n_first_filters: PositiveInt = 8
    n_filters: PositiveInt = 32
    n_spatial_filters: PositiveInt = 2
    kernel_samples: PositiveInt = 64
    dilated_kernel_samples: PositiveInt = 16
    first_pool_samples: PositiveInt = 4
    second_pool_samples: PositiveInt = 8
    max_norm: PositiveFloat = 1.0
    design_rate_hz: PositiveFloat = 128.0


class ShallowConfig(FloorConfig):
    """ShallowConvNet (Schirrmeister et al. 2017, arXiv 1703.05051): filter bank, spatial filters, log band power.

    Args:
        n_temporal_filters: Temporal filters.
        n_spatial_filters: Spatial filters over all temporal ones.
        kernel_samples: Temporal kernel.
        pool_samples: Stretch that power is averaged over.
        pool_stride_samples: From one such stretch to the next.
    """

    implementation: ClassVar[str] = "eegfm.encoders.floors.shallow:Shallow"

    name: Literal["shallow"] = "shallow"
    n_temporal_filters: PositiveInt = 40
    n_spatial_filters: PositiveInt = 40
    kernel_samples: PositiveInt = 25
    pool_samples: PositiveInt = 75
    pool_stride_samples: PositiveInt = 15


class Deep4Config(FloorConfig):
    """DeepConvNet with four blocks of convolution and pooling (Schirrmeister et al. 2017, arXiv 1703.05051).

    Args:
        n_filters: Temporal filters of the first block, and as many spatial ones; each later block has twice as many
            as the one before.
        kernel_samples: Kernel of every block, in samples at the rate there.
        pool_samples: Pooling of every block, in samples at the rate there.
    """

    implementation: ClassVar[str] = "eegfm.encoders.floors.deep4:Deep4"

    name: Literal["deep4"] = "deep4"
    n_filters: PositiveInt = 25
    kernel_samples: PositiveInt = 10
    pool_samples: PositiveInt = 3


BraindecodeModel = Literal[
    "ATCNet",
    "AttentionBaseNet",
    "AttnSleep",
    "BDTCN",
    "BIOT",
    "CBraMod",
    "CodeBrain",
    "ContraWR",
    "CTNet",
    "DANCE",
    "Deep4Net",
    "DeepSleepNet",
    "DGCNN",
    "EEGConformer",
    "EEGDINO",
    "EEGInceptionERP",
    "EEGInceptionMI",
    "EEGITNet",
    "EEGNet",
    "EEGNeX",
    "EEGPT",
    "EEGSimpleConv",
    "EEGSym",
    "EEGTCNet",
    "FBCNet",
    "FBLightConvNet",
    "FBMSNet",
    "IFNet",
    "InterpolatedBENDR",
    "InterpolatedBIOT",
    "InterpolatedEEGPT",
    "InterpolatedLaBraM",
    "InterpolatedSignalJEPA",
    "LUNA",
    "MEDFormer",
    "MSVTNet",
    "MVPFormer",
    "NeuroPose",
    "PBT",
    "SCCNet",
    "SensingDynamics",
    "ShallowFBCSPNet",
    "SignalJEPA",
    "SignalJEPA_Contextual",
    "SignalJEPA_PostLocal",
    "SignalJEPA_PreLocal",
    "SincShallowNet",
    "SleepStagerBlanco2020",
    "SleepStagerChambon2018",
    "SPARCNet",
    "SyncNet",
    "TCFormer",
    "TIDNet",
    "TSception",
    "USleep",
    "ZUNA",
]
"""Models of braindecode 1.8 that are built from the shape of windows and the electrodes alone. Left out are those under
licences for non-commercial use (BrainModule, EEGMiner, EMG2QwertyNet, MetaNeuromotorHand, VEMG2Pose); those that load
tables from the network while they are built (REVE, STEEGFormer); BENDR, one of whose channels is no electrode, and
Labram, which asks for names with every batch (their Interpolated forms are here); SSTDPN, which has no last layer."""


class BraindecodeConfig(WindowConfig):
    """A model of braindecode (extra ``zoo``) without its last layer, imported only when it is built.

    The model is untrained. Most expect a signal of about unit variance, which ``signal_scale_uv`` gives; those that
    were pretrained elsewhere on another scale want theirs (100 uV for CBraMod and LaBraM, 1 for microvolts).

    Args:
        model: Its class name there.
        options: Arguments of its constructor, besides those that the data decide.
    """

    implementation: ClassVar[str] = "eegfm.encoders.braindecode:Braindecode"

    name: Literal["braindecode"] = "braindecode"
    model: BraindecodeModel = "ShallowFBCSPNet"
    options: dict[str, bool | int | float | str] = Field(default_factory=dict)

    def __hash__(self) -> int:
        # A dictionary has no hash of its own; all other configurations have one.
        return hash(self.model_dump_json())


SimpleConfig = ConvConfig | GruConfig | EegnetConfig | EegnexConfig | ShallowConfig | Deep4Config | BraindecodeConfig
