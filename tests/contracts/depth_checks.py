"""Finetuning and probing ask of an encoder: parameters by depth, features by depth, and maps that LoRA can change."""

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
from eegfm.nn.lora import ENCODERS, add_lora, lora_parameters, merge_lora, merged_tensors

N_LINEARS: dict[str, Callable[[Encoder], int]] = {
    # query-key-value, projection, two of the feed-forward part; places, in every second layer of those that take turns
    "PatchTransformer": lambda e: (
        4 * e.config.n_layers + -(-e.config.n_layers // (1 + (e.config.attention == "alternating")))
    ),
    "Luna": lambda e: 4 + 2 + 3 * 4 + 4 * e.config.n_layers,  # queries: cross-attention, feed-forward, three layers
    "Femba": lambda e: 2 * 4 * e.config.n_layers,  # input, selection, step size and output of two directions
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
    """Names lead to linear maps, as many as the publication has, and a change of the weight of each is heard."""
    encoder = copy.deepcopy(subject.encoder())
    targets = encoder.lora_targets()
    assert len(targets) == N_LINEARS[type(encoder).__name__](encoder)
    assert bool(targets) == (encoder.name in ENCODERS) or encoder.name in ("fake", "braindecode")
    in_layers = {id(p) for group in encoder.depth_groups()[1:] for p in group}
    before = encoder.encode_with_features(make_batch()).vectors
    for name, target in targets.items():
        assert encoder.get_submodule(name) is target
        assert isinstance(target, nn.Linear)
        assert id(target.weight) in in_layers or name.startswith("gather."), name
        weight = target.weight.clone()
        add_changes({name: target})
        assert not torch.allclose(encoder.encode_with_features(make_batch()).vectors, before, rtol=1e-3), name
        merge_lora(target)
        target.weight.copy_(weight)
    assert torch.equal(encoder.encode_with_features(make_batch()).vectors, before)


def lora(subject: Subject) -> None:
    """LoRA starts as nothing, every part of it learns, and merged it computes the same under the plain names."""
    plain, encoder = subject.encoder(), copy.deepcopy(subject.encoder())
    if not encoder.lora_targets():
        return
    before = encoder(make_batch())
    add_lora(encoder.lora_targets(), rank=2, alpha=4.0, seed=0)
    assert torch.equal(encoder(make_batch()), before)
    for name, parameter in lora_parameters(encoder).items():
        if name.endswith(".up"):
            parameter.data.normal_(std=0.05, generator=torch.Generator().manual_seed(0))
    with torch.enable_grad():
        encoded = encoder.encode_with_features(make_batch())
        found = torch.autograd.grad(encoded.vectors.square().sum(), list(lora_parameters(encoder).values()))
    assert all(gradient.any() for gradient in found)
    twin = copy.deepcopy(encoder)
    twin.load_state_dict(encoder.state_dict(), strict=True)
    assert torch.equal(twin(make_batch()), encoded.vectors)
    merge_lora(twin)
    assert torch.equal(encoder(make_batch()), encoded.vectors)
    unlike = (twin(make_batch()) - encoded.vectors).square().mean().sqrt()
    assert unlike <= 1e-5 * encoded.vectors.square().mean().sqrt()
    assert {name: p.shape for name, p in twin.state_dict().items()} == {
        name: p.shape for name, p in plain.state_dict().items()
    }
    plain = copy.deepcopy(plain)
    plain.load_state_dict(merged_tensors(encoder.state_dict()), strict=True)
    assert torch.equal(plain(make_batch()), twin(make_batch()))


def add_changes(targets: dict[str, nn.Linear]) -> None:
    """LoRA whose change is not nothing."""
    add_lora(targets, rank=1, alpha=1.0, seed=0)
    for target in targets.values():
        for parameter in lora_parameters(target).values():
            parameter.normal_(generator=torch.Generator().manual_seed(0))


CHECKS = {check.__name__: check for check in (depth_groups, layer_features, lora_targets, lora)}
