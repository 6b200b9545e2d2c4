"""Probing and finetuning ask three things of an encoder: parameters by depth, features by depth, what LoRA can wrap."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from contracts.encoder_cases import Subject, make_batch
from eegfm.encoders.base import Encoder
from eegfm.encoders.layer_features import layer_features as features_by_layer
from eegfm.errors import ConfigError

N_LINEARS: dict[str, Callable[[Encoder], int]] = {
    # query-key-value, projection, two of the feed-forward part; places, in every second layer of those that take turns
    "PatchTransformer": lambda e: (
        4 * e.config.n_layers + -(-e.config.n_layers // (1 + (e.config.attention == "alternating")))
    ),
    "Luna": lambda e: 4 + 2 + 3 * 4 + 4 * e.config.n_layers,  # queries: cross-attention, feed-forward, three layers
    "Femba": lambda e: 2 * 3 * e.config.n_layers,  # input, selection and output of two directions
    "Labram": lambda e: 4 * e.config.n_layers,
    "Cbramod": lambda e: 6 * e.config.n_layers,  # attention has two halves
    "Conv": lambda e: 3 * e.config.n_layers,  # projection, gate, exchange
    "Gru": lambda e: 2 * e.config.n_layers,  # gate, exchange
    "Eegnet": lambda e: 0,
    "Eegnex": lambda e: 0,
    "Braindecode": lambda e: 0,  # the default is convolutions
    "FakeOfTokens": lambda e: 2,
    "FakeOfPatches": lambda e: 1,
}
"""By class, the linear maps of the layers, counted from the publications."""

N_LAYERS = {"Eegnet": 3, "Eegnex": 4, "Braindecode": 1, "FakeOfTokens": 1, "FakeOfPatches": 1}
"""By class, the layers of encoders without a choice of ``n_layers``: convolutions behind the first."""


def depth_groups(subject: Subject) -> None:
    """Every parameter is in one group; what a layer receives depends on all groups before it and on none behind."""
    encoder = subject.encoder()
    groups = encoder.depth_groups()
    assert sorted(id(p) for group in groups for p in group) == sorted(map(id, encoder.parameters()))
    n_layers = getattr(subject.light, "n_layers", None) or N_LAYERS[type(encoder).__name__]
    assert len(groups) == 1 + len(encoder.depth_layers()) == 1 + n_layers
    assert all(groups[1:])
    firsts = [modules[0] for modules in encoder.depth_layers()]
    with torch.enable_grad(), inputs_of(firsts) as inputs:
        encoded = encoder.encode_with_features(make_batch())
    for k, received in enumerate([*inputs, encoded.features.values]):
        for depth, group in enumerate(groups):
            feeds = _feeds(group, received)
            assert feeds == [depth <= k and p.requires_grad for p in group], (k, depth)


def layer_features(subject: Subject) -> None:
    """Features of a layer depend on all groups up to it and on none behind; the last are those of the encoder."""
    encoder = subject.encoder()
    if encoder.traits.output == "window":
        with pytest.raises(ConfigError, match=r"has stages of different shapes .*set probe\.layers=last"):
            features_by_layer(encoder, make_batch())
        return
    with torch.enable_grad():
        before = encoder.features(make_batch())
        found = features_by_layer(encoder, make_batch())
    assert len(found) == len(encoder.depth_layers())
    assert torch.equal(found[-1].values, before.values)
    assert torch.equal(encoder.features(make_batch()).values, before.values), "the encoder is as it was"
    for k, features in enumerate(found):
        assert features.values.shape == before.values.shape
        assert torch.equal(features.mask, before.mask)
        for depth, group in enumerate(encoder.depth_groups()):
            feeds = _feeds(group, features.values)
            assert feeds == [depth <= k + 1 and p.requires_grad for p in group], (k, depth)


@contextmanager
def inputs_of(modules: list[nn.Module]) -> Iterator[list[Tensor]]:
    """Note what each module receives in one forward pass, in their order."""
    found: dict[int, Tensor] = {}

    def note(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        assert id(module) not in found, "a layer runs once"
        found[id(module)] = args[0]

    hooks = [module.register_forward_pre_hook(note) for module in modules]
    inputs: list[Tensor] = []
    try:
        yield inputs
    finally:
        for hook in hooks:
            hook.remove()
    inputs.extend(found[id(module)] for module in modules)


def _feeds(parameters: list[nn.Parameter], value: Tensor) -> list[bool]:
    """For each parameter, whether the value depends on it."""
    trainable = [p for p in parameters if p.requires_grad]
    if not trainable or not value.requires_grad:
        return [False] * len(parameters)
    found = torch.autograd.grad(value.sum(), trainable, retain_graph=True, allow_unused=True)
    known = {id(p): gradient is not None for p, gradient in zip(trainable, found, strict=True)}
    return [known.get(id(p), False) for p in parameters]


@torch.no_grad()
def lora_targets(subject: Subject) -> None:
    """Names lead to plain linear maps, as many as the publication has, and what is put in place of one is heard."""
    encoder = copy.deepcopy(subject.encoder())
    targets = encoder.lora_targets()
    assert len(targets) == N_LINEARS[type(encoder).__name__](encoder)
    in_layers = {id(p) for group in encoder.depth_groups()[1:] for p in group}
    before = encoder.encode_with_features(make_batch()).vectors
    for name, target in targets.items():
        assert encoder.get_submodule(name) is target
        assert type(target) is nn.Linear
        assert id(target.weight) in in_layers or name.startswith("gather."), name
        encoder.set_submodule(name, LowRank(target))
        assert not torch.allclose(encoder.encode_with_features(make_batch()).vectors, before, rtol=1e-3), name
        encoder.set_submodule(name, target)
    assert torch.equal(encoder.encode_with_features(make_batch()).vectors, before)


class LowRank(nn.Module):
    """A linear map plus one of rank 1, as LoRA adds it; ``weight`` and ``bias`` are those of the map alone."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base
        draw = torch.Generator().manual_seed(0)
        self.down = nn.Parameter(torch.randn(base.in_features, generator=draw))
        self.up = nn.Parameter(torch.randn(base.out_features, generator=draw))

    @property
    def weight(self) -> Tensor:
        return self.base.weight

    @property
    def bias(self) -> Tensor:
        return self.base.bias

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.base(x) + (x @ self.down).unsqueeze(-1) * self.up
        return added


CHECKS = {check.__name__: check for check in (depth_groups, layer_features, lora_targets)}
