"""LoRA on linear maps. ``tests/contracts`` has it on every encoder."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from eegfm.errors import ConfigError
from eegfm.nn.lora import add_lora, lora_parameters, merge_lora, merged_tensors


def network(seed: int = 3) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # A parametrization of others stays what it is.
        return nn.Sequential(nn.Linear(6, 9), nn.GELU(), weight_norm(nn.Linear(9, 9)), nn.Linear(9, 4, bias=False))


def with_lora(seed: int = 0, *, moved: bool = True) -> nn.Sequential:
    model = network()
    add_lora({"0": model[0], "3": model[3]}, rank=2, alpha=5.0, seed=seed)
    for name, parameter in lora_parameters(model).items():
        if moved and name.endswith("up"):
            parameter.data.normal_(generator=torch.Generator().manual_seed(1))
    return model


X = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))


def test_the_change_is_that_of_the_paper() -> None:
    model, plain = with_lora(), network()
    parameters = lora_parameters(model)
    up, down = (parameters[f"3.parametrizations.weight.0.{name}"].double() for name in ("up", "down"))
    hidden = plain[2](nn.functional.gelu(model[0](X))).double()
    expected = hidden @ plain[3].weight.double().T + 5.0 / 2 * (hidden @ down.T) @ up.T
    torch.testing.assert_close(model(X), expected.float(), atol=1e-5, rtol=1e-5)
    assert {name: tuple(p.shape) for name, p in parameters.items()} == {
        "0.parametrizations.weight.0.down": (2, 6),
        "0.parametrizations.weight.0.up": (9, 2),
        "3.parametrizations.weight.0.down": (2, 9),
        "3.parametrizations.weight.0.up": (4, 2),
    }


def test_it_starts_as_nothing_and_follows_from_the_seed_alone() -> None:
    state = torch.random.get_rng_state()
    first, again, other = (with_lora(seed, moved=False) for seed in (7, 7, 8))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(first(X), network()(X))
    down = "0.parametrizations.weight.0.down"
    assert torch.equal(lora_parameters(first)[down], lora_parameters(again)[down])
    assert not torch.equal(lora_parameters(first)[down], lora_parameters(other)[down])
    assert lora_parameters(first)[down].abs().max() <= 1 / math.sqrt(6)  # Kaiming's rule with a = sqrt(5)


def test_merged_it_is_the_plain_model() -> None:
    model, plain = with_lora(), network()
    expected, state, twin = model(X), copy.deepcopy(model.state_dict()), copy.deepcopy(model)
    weight = model[0].parametrizations.weight.original
    merge_lora(model)
    assert type(model[0]) is nn.Linear
    assert model[0].weight is weight
    assert not lora_parameters(model)
    torch.testing.assert_close(model(X), expected)
    assert model.state_dict().keys() == plain.state_dict().keys()
    torch.testing.assert_close(twin(X), expected)
    assert lora_parameters(twin)
    merged = merged_tensors(state)
    assert merged.keys() == plain.state_dict().keys()
    plain.load_state_dict(merged)
    assert torch.equal(plain(X), model(X))
    merge_lora(plain)  # without LoRA nothing happens
    assert torch.equal(plain(X), model(X))


def test_a_copy_and_a_stored_state_go_on_training() -> None:
    model = with_lora()
    twin, loaded = copy.deepcopy(model), with_lora(seed=9, moved=False)
    loaded.load_state_dict(model.state_dict())
    for one in (model, twin, loaded):
        one.requires_grad_(False)
        for parameter in lora_parameters(one).values():
            parameter.requires_grad_(True)
        optimizer = torch.optim.SGD(lora_parameters(one).values(), lr=0.1)
        one(X).square().mean().backward()
        optimizer.step()
    assert torch.equal(model(X), twin(X))
    assert torch.equal(model(X), loaded(X))
    assert not torch.equal(model(X), with_lora()(X))
    assert torch.equal(model[0].parametrizations.weight.original, network()[0].weight)


def test_the_weight_keeps_its_precision_under_autocast() -> None:
    model = with_lora()
    expected = model[0].weight
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(model[0].weight, expected)
        assert model(X).dtype == torch.bfloat16
    assert model.to(torch.bfloat16)[0].weight.dtype == torch.bfloat16


def test_no_target_is_an_error_that_names_encoders_with_some() -> None:
    with pytest.raises(ConfigError, match=r"encoder has none; choose another strategy, or .*: .*patch_transformer"):
        add_lora({}, rank=2, alpha=4.0, seed=0)
