"""The baselines compute what braindecode's models of the same publications compute, with the same weights."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from contracts.encoder_cases import MONTAGES
from eegfm.batch import SignalSpec
from eegfm.encoders.baselines.base import SpatialFilters
from eegfm.encoders.config import EegnetConfig, EegnexConfig
from eegfm.encoders.load import new_encoder
from eegfm.encoders.traits import EncoderConfig
from eegfm.encoders.window_encoder import WindowEncoder
from zoo.stand_in import braindecode_models

pytestmark = pytest.mark.zoo
C, WINDOW_S, RATE_HZ = 21, 4, 128.0


@dataclass(frozen=True)
class Peer:
    config: EncoderConfig
    name: str
    align: Callable[[nn.Module], None]
    """Undo what braindecode does differently from the publication."""


def same_padding(model: Any) -> None:
    model.conv_temporal.padding = "same"
    model.conv_separable_depth.padding = "same"


def no_padding_in_pools(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.AvgPool2d):
            module.padding = 0
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3


PEERS = [
    Peer(EegnetConfig(dropout_ratio=0), "EEGNet", same_padding),
    Peer(EegnexConfig(dropout_ratio=0), "EEGNeX", no_padding_in_pools),
]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_same_features_from_the_same_weights(peer: Peer) -> None:
    montage, n_samples = MONTAGES[C], round(WINDOW_S * RATE_HZ)
    ours = new_encoder(peer.config, SignalSpec(RATE_HZ, {"m": montage}, {"m": n_samples}), seed=0)
    assert isinstance(ours, WindowEncoder)
    theirs = getattr(braindecode_models(), peer.name)(n_chans=C, n_outputs=2, n_times=n_samples, drop_prob=0.0)
    peer.align(theirs)
    theirs.final_layer = nn.Flatten()
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
    draw_weights(theirs)
    with torch.no_grad():
        for mine, other in zip(weights_of(ours), weights_of(theirs), strict=True):
            mine.copy_(other.reshape(mine.shape))
    signal = torch.randn(4, C, n_samples, generator=torch.Generator().manual_seed(1))
    for training in (False, True):
        expected = theirs.train(training)(signal)
        torch.testing.assert_close(ours.train(training).window_features(signal), expected, atol=1e-4, rtol=1e-4)
    assert expected.shape[1] == ours.d_model


def draw_weights(model: nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.running_mean.normal_(0, 0.3, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
                module.momentum = 0.1


def weights_of(model: nn.Module) -> Iterable[torch.Tensor]:
    """Convolutions in the order of the layers, then norms with their statistics."""
    convolutions: list[torch.Tensor] = []
    for name, module in model.named_modules():
        if isinstance(module, SpatialFilters) or type(module).__name__ == "ParametrizedConv2dWithConstraint":
            convolutions.append(next(module.parameters()))
        elif isinstance(module, nn.Conv1d | nn.Conv2d) and not name.startswith("final_layer"):
            convolutions += list(module.parameters())
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    return [*convolutions, *(value for norm in norms for value in norm.state_dict().values() if value.ndim)]
