"""Configurations of the supervised baselines."""

from typing import ClassVar, Literal

from pydantic import Field

from eegfm.config import Amount, Count
from eegfm.encoders.traits import WindowConfig


class BaselineConfig(WindowConfig):
    """Base of the supervised baselines: published convolutional networks without their classifier.

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
    design_rate_hz: Amount = 128.0


class EegnetConfig(BaselineConfig):
    """EEGNet-8,2 (Lawhern et al. 2018, arXiv 1611.08024): temporal, spatial and separable convolutions.

    The published networks let running statistics follow with a momentum of 0.01; runs of a few hundred steps would
    then be evaluated with statistics of the initial weights.

    Args:
        n_temporal_filters: Temporal filters (F1).
        n_spatial_filters: Spatial filters for each of them (D).
        n_pointwise_filters: Maps of the separable convolution (F2).
        kernel_samples: Temporal kernel; half a second at the published 128 Hz.
        separable_kernel_samples: Kernel after the first pooling, in samples at its rate.
        first_pool_samples: First pooling.
        second_pool_samples: Second pooling, in samples at its rate.
        max_norm: Largest norm of a spatial filter.
    """

    implementation: ClassVar[str] = "eegfm.encoders.baselines.eegnet:Eegnet"

    name: Literal["eegnet"] = "eegnet"
    n_temporal_filters: Count = 8
    n_spatial_filters: Count = 2
    n_pointwise_filters: Count = 16
    kernel_samples: Count = 64
    separable_kernel_samples: Count = 16
    first_pool_samples: Count = 4
    second_pool_samples: Count = 8
    max_norm: Amount = 1.0
    dropout_ratio: float = Field(default=0.25, ge=0, lt=1)


class EegnexConfig(BaselineConfig):
    """EEGNeX-8,32 (Chen et al. 2024, arXiv 2207.12369): EEGNet with more temporal filters and dilated convolutions.

    Args:
        n_first_filters: Temporal filters of the first and the last convolution.
        n_filters: Temporal filters of the second and the fourth convolution.
        n_spatial_filters: Spatial filters for each of the second's.
        kernel_samples: Kernels of the first two convolutions.
        dilated_kernel_samples: Kernels after the first pooling, in samples at its rate; dilated by 2, then 4.
        first_pool_samples: First pooling.
        second_pool_samples: Second pooling, in samples at its rate.
        max_norm: Largest norm of a spatial filter.
    """

    implementation: ClassVar[str] = "eegfm.encoders.baselines.eegnex:Eegnex"

    name: Literal["eegnex"] = "eegnex"
    n_first_filters: Count = 8
    n_filters: Count = 32
    n_spatial_filters: Count = 2
    kernel_samples: Count = 64
    dilated_kernel_samples: Count = 16
    first_pool_samples: Count = 4
    second_pool_samples: Count = 8
    max_norm: Amount = 1.0
