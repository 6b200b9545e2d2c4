"""Configurations of the heads. No torch here."""

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from eegfm.config import Buildable, Count
from eegfm.targets import Kind

DropoutRatio = Annotated[float, Field(ge=0, lt=1)]
Hidden = Annotated[tuple[Count, ...], Field(max_length=16)]
Pooling = Literal["mean", "flatten", "rows", "patches", "cls"]
"""How the tokens of a window become one vector: their mean; all side by side; the mean over time of each row, side by
side; the mean over rows of each patch of time, side by side; or the token that stands for the window, which LaBraM
has with ``summary: cls`` and ``patch_transformer`` with ``summary: register``."""


class HeadBase(Buildable):
    """Base of the configurations of heads."""

    kinds: ClassVar[tuple[Kind, ...]] = ("binary", "multiclass", "multilabel", "multioutput", "regression")
    """Kinds of answers that the head can give."""
    name: str


class LinearConfig(HeadBase):
    """One linear map of the pooled tokens.

    Args:
        pooling: How tokens become one vector, see ``Pooling``.
    """

    implementation: ClassVar[str] = "eegfm.heads.pooled:PooledHead"

    name: Literal["linear"] = "linear"
    pooling: Pooling = "mean"


class MlpConfig(HeadBase):
    """Linear maps with a GELU between them, of the pooled tokens.

    Args:
        hidden: Widths between the maps.
        dropout_ratio: Share of hidden numbers dropped while training.
        pooling: How tokens become one vector, see ``Pooling``.
    """

    implementation: ClassVar[str] = "eegfm.heads.pooled:PooledHead"

    name: Literal["mlp"] = "mlp"
    hidden: Hidden = (64,)
    dropout_ratio: DropoutRatio = 0.1
    pooling: Pooling = "mean"


class AttentionPoolingConfig(HeadBase):
    """A mean of the tokens with learned weights (arXiv 1802.04712, without its gate), then a linear map.

    Args:
        n_queries: Learned queries; each gives a mean of its own, and the map reads them side by side.
        dropout_ratio: Share of the means dropped while training.
    """

    implementation: ClassVar[str] = "eegfm.heads.attention:AttentionPoolingHead"

    name: Literal["attention_pooling"] = "attention_pooling"
    n_queries: Count = 1
    dropout_ratio: DropoutRatio = 0.1


class QueryAggregationConfig(HeadBase):
    """LUNA's head (arXiv 2510.22257): a learned query gathers the tokens by cross-attention, then an MLP.

    Args:
        n_heads: Attention heads; they share the width of a token evenly.
        mlp_ratio: Hidden width of the MLP over the width of a token.
        dropout_ratio: Share of attention weights and of hidden numbers dropped while training.
    """

    implementation: ClassVar[str] = "eegfm.heads.attention:QueryAggregationHead"

    name: Literal["query_aggregation"] = "query_aggregation"
    n_heads: Count = 2
    mlp_ratio: Count = 4
    dropout_ratio: DropoutRatio = 0.15


class LogCovarianceConfig(HeadBase):
    """A linear map of the matrix logarithm of the covariance of the tokens (log-Euclidean, Arsigny et al. 2007).

    Args:
        width: Tokens that are wider are first brought to this width by a learned linear map. The head has
            ``width * (width + 1) / 2`` features.
        shrinkage: Share of the covariance that is replaced by its mean variance on the diagonal.
    """

    implementation: ClassVar[str] = "eegfm.heads.log_covariance:LogCovarianceHead"

    name: Literal["log_covariance"] = "log_covariance"
    width: Annotated[int, Field(gt=0, le=512)] = 32
    shrinkage: Annotated[float, Field(gt=0, le=1)] = 0.1


class PerChannelConfig(HeadBase):
    """One small network for each row of tokens, shared by all: answer k is that of the row with its name.

    Args:
        hidden: Widths between the maps.
        dropout_ratio: Share of hidden numbers dropped while training.
    """

    implementation: ClassVar[str] = "eegfm.heads.per_channel:PerChannelHead"
    kinds: ClassVar[tuple[Kind, ...]] = ("multilabel", "multioutput")

    name: Literal["per_channel"] = "per_channel"
    hidden: Hidden = (64,)
    dropout_ratio: DropoutRatio = 0.1


class FembaHeadConfig(HeadBase):
    """FEMBA's head (arXiv 2502.06438, section II): a projection, a Mamba block over time, the mean and a linear map.

    Args:
        width: Width of the projection.
        expand: Channels of the scan over ``width``.
        scan: ``mamba_ssm`` runs on its fused kernels, ``torch`` on any device, ``auto`` on the available one.
    """

    implementation: ClassVar[str] = "eegfm.heads.femba:FembaHead"

    name: Literal["femba"] = "femba"
    width: Count = 256
    expand: Count = 2
    scan: Literal["auto", "torch", "mamba_ssm"] = "auto"


AnyHeadConfig = (
    LinearConfig
    | MlpConfig
    | AttentionPoolingConfig
    | QueryAggregationConfig
    | LogCovarianceConfig
    | PerChannelConfig
    | FembaHeadConfig
)
HeadConfig = Annotated[AnyHeadConfig, Field(discriminator="name")]
HEADS: tuple[type[HeadBase], ...] = get_args(AnyHeadConfig)
"""All heads of the menu."""
