"""Menu of optimizers. No torch here."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from eegfm.adapters.config import ChannelAdapterConfig
from eegfm.config import Buildable, Count, StrictModel, unnamed_is
from eegfm.encoders.traits import EncoderConfig
from eegfm.errors import ConfigError

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Beta = Annotated[float, Field(ge=0, lt=1)]


class LearningRates(StrictModel):
    """Learning rates of the parts of a model, at the peak of the schedule. A part without one has ``learning_rate``.

    Args:
        adapter: Rate of the channel adapter.
        encoder: Rate of the encoder; with ``layer_decay``, of its last layer.
        head: Rate of the objective's own weights: heads, decoders, mask tokens.
    """

    adapter: Rate | None = None
    encoder: Rate | None = None
    head: Rate | None = None


class BaseOptimizerConfig(Buildable):
    """Base of the configurations of optimizers.

    Args:
        learning_rate: Peak of the schedule.
        weight_decay: Decay of matrices and kernels; norms, biases and embeddings are left alone.
        learning_rates: Rates of single parts.
        layer_decay: Learning rate of a layer of the encoder over that of the layer behind it. The last layer has the
            encoder's rate; embeddings and the adapter are one layer before the first. Heads keep their rate.
    """

    learning_rate: Rate
    weight_decay: Decay
    learning_rates: LearningRates = LearningRates()
    layer_decay: float | None = Field(default=None, gt=0, le=1)

    def check_model(self, adapter: ChannelAdapterConfig, encoder: EncoderConfig, *, is_of_start: bool = False) -> None:
        """Refuse rates of parts that have no weights, before anything is built.

        Args:
            adapter: The adapter.
            encoder: The encoder.
            is_of_start: Whether the weights that a phase starts from decide both, so that no parameter changes them.

        Raises:
            ConfigError: The adapter has a rate and no weights, or layers have rates and no order.
        """
        choose = "start from an encoder with" if is_of_start else "choose"
        rate = self.learning_rates.adapter
        if rate is not None and not adapter.has_weights:
            raise ConfigError(
                f"optimizer.learning_rates.adapter is {rate:g}, but adapter {adapter.name} has no weights; leave it "
                f"out, or {choose} an adapter that has some (adapter.name: perceiver)"
            )
        if self.layer_decay is not None and not encoder.has_depth_groups:
            raise ConfigError(
                f"optimizer.layer_decay is {self.layer_decay:g}, but encoder {encoder.name} does not say which of its "
                "layers come first; set it to null, or "
                f"{'start from' if is_of_start else 'choose'} an encoder with layers (encoder.name: patch_transformer)"
            )


class SgdConfig(BaseOptimizerConfig):
    """Stochastic gradient descent with momentum, torch's own.

    Args:
        momentum: Decay of the running sum of gradients; 0 for none.
        nesterov: Look ahead along the momentum.
        weight_decay: Is added to the gradient, times the weight (L2), before the momentum.
    """

    implementation: ClassVar[str] = "eegfm.training.optimizers.sgd:build_sgd"

    name: Literal["sgd"] = "sgd"
    learning_rate: Rate = 0.1
    momentum: Beta = 0.9
    nesterov: bool = False
    weight_decay: Decay = 1e-4

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> "SgdConfig":
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs momentum, which is 0; set momentum, such as 0.9, or nesterov: false")
        return self


class AdamBaseConfig(BaseOptimizerConfig):
    """Base of Adam and of the optimizers that build on its step.

    Args:
        betas: Decay of the running means of gradient and squared gradient.
        eps: Added to the denominator of Adam's step.
    """

    betas: tuple[Beta, Beta] = (0.9, 0.999)
    eps: Rate = 1e-8


class AdamConfig(AdamBaseConfig):
    """Adam (Kingma and Ba, arXiv 1412.6980), torch's own.

    Args:
        weight_decay: Is added to the gradient, times the weight (L2), so that Adam rescales it; ``adamw`` does not.
    """

    implementation: ClassVar[str] = "eegfm.training.optimizers.adam:build_adam"

    name: Literal["adam"] = "adam"
    learning_rate: Rate = 1e-3
    weight_decay: Decay = 0.0


class AdamWConfig(AdamBaseConfig):
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101), torch's own.

    Args:
        weight_decay: Times the learning rate, the share of a weight that each step takes away.
    """

    implementation: ClassVar[str] = "eegfm.training.optimizers.adamw:build_adamw"

    name: Literal["adamw"] = "adamw"
    learning_rate: Rate = 3e-3
    betas: tuple[Beta, Beta] = (0.9, 0.98)
    weight_decay: Decay = 0.05


class LambConfig(AdamBaseConfig):
    """LAMB (You et al., arXiv 1904.00962): Adam whose step of a matrix is as long as the matrix, times the rate.

    Args:
        weight_decay: Is added to Adam's step, times the weight, before its length is measured.
        trust_clip: Largest ratio of the length of a weight to that of its step; None for no limit.
        bias_correction: Divide the running means by the weight that they have in their first steps.
        adapt_all: Adapt the length also for norms, biases and embeddings. The authors' code does not: a bias that
            starts at zero has a length near zero, and would stay there.
    """

    implementation: ClassVar[str] = "eegfm.training.optimizers.lamb:build_lamb"

    name: Literal["lamb"] = "lamb"
    learning_rate: Rate = 2e-3
    eps: Rate = 1e-6
    weight_decay: Decay = 0.01
    trust_clip: Rate | None = None
    bias_correction: bool = True
    adapt_all: bool = False


class MuonConfig(AdamBaseConfig):
    """Muon for the matrices of the encoder's layers, AdamW for everything else; both are torch's own.

    Muon (K. Jordan, kellerjordan.github.io/posts/muon; Liu et al., arXiv 2502.16982) takes, of each matrix, a step of
    equal length in all directions. Embeddings, the adapter, kernels of convolutions, vectors, heads and decoders are
    left to AdamW.

    Args:
        momentum: Decay of the running mean of the gradient.
        nesterov: Look ahead along the momentum.
        n_iterations: Newton-Schulz iterations that make a step's singular values about equal.
        rate_scale: ``match_rms_adamw`` scales a matrix's rate so that its step is as long as AdamW's, and one learning
            rate fits both. ``original`` scales by the root of rows over columns, if that is more than 1.
        adamw_rate_ratio: Learning rate of AdamW over that of Muon.
        weight_decay: Times the learning rate, the share of a weight that each step takes away, with both.
    """

    implementation: ClassVar[str] = "eegfm.training.optimizers.muon:build_muon"

    name: Literal["muon"] = "muon"
    learning_rate: Rate = 3e-3
    momentum: Beta = 0.95
    nesterov: bool = True
    n_iterations: Annotated[Count, Field(lt=100)] = 5
    rate_scale: Literal["match_rms_adamw", "original"] = "match_rms_adamw"
    adamw_rate_ratio: Rate = 1.0
    betas: tuple[Beta, Beta] = (0.9, 0.98)
    weight_decay: Decay = 0.05


OptimizerConfig = Annotated[
    SgdConfig | AdamConfig | AdamWConfig | LambConfig | MuonConfig, Field(discriminator="name"), unnamed_is("adamw")
]
