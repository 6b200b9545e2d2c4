"""Layers over a grid of tokens, against attention written out in loops."""

import math

import pytest
import torch
from torch import Tensor

from eegfm.encoders.config import PatchTransformerConfig
from eegfm.encoders.patch_transformer.attention import (
    Across,
    GridAttention,
    Layer,
    PlaceQueries,
    RmsNorm,
    Surroundings,
    SwiGlu,
    new_feed_forward,
    rotary_angles,
    rotate,
)
from eegfm.nn.stochastic_depth import drop_windows

B, R, P, D, K = 2, 5, 3, 32, 8
H = D // K


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


PLACES = torch.randn(1, R, 1, D, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


def layer(across: Across, **choices: object) -> Layer:
    torch.manual_seed(0)
    made = Layer(PatchTransformerConfig(d_model=D, head_size=K, **choices), across).double().eval()
    if made.attention.places is not None:  # queries and keys of a fresh layer are alike
        torch.nn.init.normal_(made.attention.places.query_key.weight, std=0.1)
    return made


def surroundings(mask: Tensor | None = None) -> Surroundings:
    angles = tuple(a.double() for a in rotary_angles(torch.arange(P), K))
    return Surroundings.of(torch.arange(P), mask, K, PLACES)._replace(angles=angles)


def turned(x: Tensor, patch: int) -> Tensor:
    """A head of K numbers, its pairs turned as complex numbers."""
    angles = patch * 10_000.0 ** (-torch.arange(K // 2) / (K // 2))
    pairs = torch.complex(x[: K // 2], x[K // 2 :]) * torch.exp(1j * angles.double())
    return torch.cat((pairs.real, pairs.imag))


def attended_in_loops(module: GridAttention, x: Tensor, mask: Tensor) -> Tensor:
    """One token, one head at a time; heads of ``both`` are halved: rows first."""
    qkv = module.query_key_value(x).view(B, R, P, H, 3, K).clone()
    if module.places is not None:
        place = PLACES - PLACES.mean(dim=-1, keepdim=True)
        place = place / (place.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()
        n_heads = H // 2 if module.across == "both" else H
        qkv[:, :, :, :n_heads, :2] += (place @ module.places.query_key.weight.T).view(1, R, 1, n_heads, 2, K)
    out = torch.zeros(B, R, P, H, K, dtype=x.dtype)
    places = [(r, p) for r in range(R) for p in range(P)]
    for b in range(B):
        for h in range(H):
            is_time = module.across == "patches" or (module.across == "both" and h >= H // 2)
            for r, p in places:
                near = [(s, q) for s, q in places if (s == r if is_time else q == p)]
                seen = [place for place in near if mask[b, *place]] or near
                q = qkv[b, r, p, h, 0]
                keys = [qkv[b, *place, h, 1] for place in seen]
                if is_time:
                    q, keys = turned(q, p), [turned(key, place[1]) for key, place in zip(keys, seen, strict=True)]
                weights = torch.stack([q @ key / math.sqrt(K) for key in keys]).softmax(dim=0)
                values = torch.stack([qkv[b, *place, h, 2] for place in seen])
                out[b, r, p, h] = weights @ values
    return module.projection(out.flatten(3))


@pytest.mark.parametrize("across", ["rows", "patches", "both"])
@pytest.mark.parametrize("is_masked", [False, True])
def test_attention_equals_loops(across: Across, is_masked: bool) -> None:
    module = layer(across).attention
    x = torch.randn(B, R, P, D, generator=generator(), dtype=torch.float64)
    mask = torch.rand(B, R, P, generator=generator(1)) > 0.4 if is_masked else torch.ones(B, R, P, dtype=torch.bool)
    if is_masked:
        mask[0, 2], mask[1, :, 1] = False, False  # sequences without any token that others may see
    found = module(x, surroundings(mask if is_masked else None))
    # Angles are made in float32.
    torch.testing.assert_close(found, attended_in_loops(module, x, mask), atol=1e-7, rtol=1e-5)


def test_fresh_heads_look_at_what_lies_near() -> None:
    """Whatever the tokens hold: the last head at the nearest places, the first one nearly everywhere."""
    torch.manual_seed(0)
    places = PlaceQueries(64, n_heads=4, head_size=16)
    where = torch.randn(1, 200, 1, 64, generator=generator(3))
    where[0, 1] = where[0, 0] + 0.1 * torch.randn(64, generator=generator(4))
    around = Surroundings.of(torch.arange(1), None, 16, where)
    query, key = places(around.places)[0, :, 0].unbind(2)
    seen = (torch.einsum("qhk,rhk->hqr", query, key) / 4).softmax(dim=-1)[:, 0]
    assert seen[-1, :2].sum() > 0.5 > 0.05 > seen[0].max()
    assert seen[:, :2].sum(dim=1).diff().min() > 0, "every head looks nearer than the one before it"


@pytest.mark.parametrize("across", ["rows", "patches", "both"])
def test_a_layer_adds_both_parts(across: Across) -> None:
    module = layer(across)
    x = torch.randn(B, R, P, D, generator=generator(), dtype=torch.float64)
    y = x + module.attention(module.attention_norm(x), surroundings())
    expected = y + module.feed_forward(module.feed_forward_norm(y))
    torch.testing.assert_close(module(x, surroundings()), expected)


@pytest.mark.parametrize("across", ["rows", "patches", "both"])
def test_gradients_are_finite_where_nothing_may_be_seen(across: Across) -> None:
    module = layer(across)
    x = torch.randn(B, R, P, D, generator=generator(), dtype=torch.float64, requires_grad=True)
    mask = torch.ones(B, R, P, dtype=torch.bool)
    mask[0, 2], mask[1, :, 1], mask[1, 3] = False, False, False
    out = module(x, surroundings(mask))
    out.square().sum().backward()
    assert torch.isfinite(out).all()
    assert all(torch.isfinite(p.grad).all() for p in (x, *module.parameters()))


def test_windows_can_hold_different_patches() -> None:
    """As where each window shows other patches: every one gets its own angles."""
    module = layer("patches")
    x = torch.randn(B, R, P, D, generator=generator(), dtype=torch.float64)
    time = torch.tensor([[0, 1, 5], [2, 3, 9]])
    together = module(x, _exact(Surroundings.of(time.unsqueeze(1), None, K)))
    for b in range(B):
        alone = module(x[b : b + 1], _exact(Surroundings.of(time[b], None, K)))
        torch.testing.assert_close(together[b : b + 1], alone)
    assert not torch.allclose(together, module(x, surroundings()))


def _exact(known: Surroundings) -> Surroundings:
    return known._replace(angles=tuple(a.double() for a in known.angles))


def test_rotary_products_depend_on_distance_alone() -> None:
    q, k = torch.randn(2, 16, generator=generator(1))
    cos, sin = (a.view(20, 16) for a in rotary_angles(torch.arange(20), 16))

    def product(i: int, j: int) -> Tensor:
        return rotate(q, (cos[i], sin[i])) @ rotate(k, (cos[j], sin[j]))

    torch.testing.assert_close(product(3, 7), product(12, 16), atol=1e-4, rtol=1e-4)
    assert abs(float((product(3, 7) - product(3, 8)).detach())) > 1e-3


def test_rms_norm_is_the_textbooks_in_float32() -> None:
    norm = RmsNorm(16)
    torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
    x = 3 * torch.randn(4, 16, generator=generator()) + 1
    expected = x / (x.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt() * norm.weight
    torch.testing.assert_close(norm(x), expected)
    assert torch.equal(norm(x.bfloat16()), norm(x.bfloat16().float()).bfloat16())


def test_swiglu_is_the_formula_and_costs_as_much_as_gelu() -> None:
    part = SwiGlu(16, 24)
    x = torch.randn(4, 16, generator=generator())
    hidden = part.gate_value(x)
    gate, value = hidden[:, :24], hidden[:, 24:]
    torch.testing.assert_close(part(x), part.output(gate * gate.sigmoid() * value))
    gated, plain = (
        sum(p.numel() for p in new_feed_forward(kind, 256, 4.0).parameters() if p.ndim == 2)
        for kind in ("swiglu", "gelu")
    )
    assert gated == pytest.approx(plain, rel=0.01)
    assert new_feed_forward("swiglu", 256, 4.0).output.in_features == 680  # a multiple of 8 near 2/3 * 1024


def test_windows_are_dropped_whole_and_the_mean_is_kept() -> None:
    torch.manual_seed(0)
    out = drop_windows(torch.ones(4000, 2, 3), 0.25, training=True)
    values = out.flatten(1)
    assert (values == values[:, :1]).all()
    assert sorted(values.unique().tolist()) == [0.0, pytest.approx(1 / 0.75)]
    assert float((values == 0).float().mean()) == pytest.approx(0.25, abs=0.035)  # five standard errors


@pytest.mark.parametrize("choice", ["drop_path_ratio", "dropout_ratio"])
def test_nothing_is_dropped_outside_of_training(choice: str) -> None:
    config = PatchTransformerConfig(d_model=D, head_size=K, **{choice: 0.5})
    module = Layer(config, "rows", config.drop_path_ratio).eval()
    x = torch.randn(8, R, P, D, generator=generator())
    around = Surroundings.of(torch.arange(P), None, K, PLACES.float())
    assert torch.equal(module(x, around), module(x, around))
    module.train()
    assert not torch.equal(module(x, around), module(x, around))
