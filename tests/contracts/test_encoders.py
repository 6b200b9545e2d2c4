"""What every encoder on the menu promises."""

from collections.abc import Callable
from typing import Annotated, get_args, get_origin

import pytest
import torch

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.config import Buildable
from eegfm.encoders.base import Encoder
from eegfm.encoders.config import EncoderConfig, PatchTransformerConfig
from eegfm.encoders.load import new_encoder
from eegfm.errors import ConfigError

MakeBatch = Callable[..., WindowBatch]


def members(union: object) -> list[type[Buildable]]:
    """Classes of an annotated union; a union of one is the class itself."""
    assert get_origin(union) is Annotated
    inner = get_args(union)[0]
    return list(get_args(inner)) or [inner]


CONFIGS = [member() for member in members(EncoderConfig)] + [
    PatchTransformerConfig(attention="full", n_layers=2),
    PatchTransformerConfig(spectrum_input=True, patch_s=0.5, n_layers=3, d_model=32, head_size=16),
]


@pytest.fixture(params=CONFIGS, ids=lambda c: f"{c.name}-{getattr(c, 'attention', '')}-{c.patch_s:g}")
def encoder(request: pytest.FixtureRequest, spec: SignalSpec) -> Encoder:
    return new_encoder(request.param, spec, seed=0).eval()


@pytest.mark.parametrize(("n_channels", "duration_s"), [(19, 2), (21, 10), (64, 3), (129, 4), (129, 1)])
def test_any_number_of_channels_and_patches(
    encoder: Encoder, make_batch: MakeBatch, n_channels: int, duration_s: int
) -> None:
    batch = make_batch(n_channels, duration_s)
    tokens = encoder.tokenize(batch)
    out = encoder(batch)
    n_patches = 100 * duration_s // encoder.patch_samples
    assert (tokens.n_channels, tokens.n_patches) == (n_channels, n_patches)
    assert out.shape == tokens.content.shape == (2, n_channels * n_patches, encoder.d_model)
    assert torch.isfinite(out).all()


def test_every_parameter_learns(encoder: Encoder, make_batch: MakeBatch) -> None:
    out = encoder(make_batch(19, 4))
    (out * torch.randn(out.shape, generator=torch.Generator().manual_seed(1))).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_tokens_are_channel_major(encoder: Encoder, make_batch: MakeBatch) -> None:
    batch = make_batch(19, 4)
    before = encoder.tokenize(batch).content
    batch["signal"][:, 5, 2 * encoder.patch_samples : 3 * encoder.patch_samples] += 10.0
    changed = (encoder.tokenize(batch).content != before).any(dim=-1)[0].nonzero().flatten().tolist()
    assert changed == [5 * (400 // encoder.patch_samples) + 2]


def test_state_survives_a_round_trip(encoder: Encoder, spec: SignalSpec, make_batch: MakeBatch) -> None:
    other = new_encoder(encoder.config, spec, seed=1).eval()
    batch = make_batch(21, 2)
    assert not torch.equal(other(batch), encoder(batch))
    other.load_state_dict(encoder.state_dict(), strict=True)
    assert torch.equal(other(batch), encoder(batch))


def test_the_seed_decides_the_weights(encoder: Encoder, spec: SignalSpec) -> None:
    torch.manual_seed(123)
    state = torch.random.get_rng_state()
    twin = new_encoder(encoder.config, spec, seed=0)
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, value in twin.state_dict().items():
        assert torch.equal(value, encoder.state_dict()[name]), name


def test_channels_have_no_order(encoder: Encoder, make_batch: MakeBatch) -> None:
    batch = make_batch(19, 3)
    order = torch.randperm(19, generator=torch.Generator().manual_seed(3))
    permuted: WindowBatch = {**batch}
    permuted["signal"] = batch["signal"][:, order]
    permuted["channel_positions"] = batch["channel_positions"][:, order]
    shape = (2, 19, -1, encoder.d_model)
    expected = encoder(batch).view(shape)[:, order]
    torch.testing.assert_close(encoder(permuted).view(shape), expected, atol=1e-4, rtol=1e-4)


def test_places_and_times_matter(encoder: Encoder, make_batch: MakeBatch) -> None:
    batch = make_batch(19, 4)
    out = encoder(batch)
    moved: WindowBatch = {**batch, "channel_positions": batch["channel_positions"].roll(1, dims=1)}
    assert (encoder(moved) - out).abs().max() > 1e-2
    patches = batch["signal"].view(2, 19, -1, encoder.patch_samples)
    swapped: WindowBatch = {**batch, "signal": patches.flip(2).reshape(batch["signal"].shape)}
    back = encoder(swapped).view(2, 19, -1, encoder.d_model).flip(2).flatten(1, 2)
    assert (back - out).abs().max() > 1e-3


def test_positions_per_window_equal_shared_positions(encoder: Encoder, make_batch: MakeBatch) -> None:
    batch = make_batch(19, 2, n_windows=3)
    apart: WindowBatch = {**batch, "channel_positions": batch["channel_positions"].clone()}
    torch.testing.assert_close(encoder(apart), encoder(batch), atol=1e-5, rtol=1e-5)


def test_windows_do_not_see_each_other(encoder: Encoder, make_batch: MakeBatch) -> None:
    batch = make_batch(19, 2, n_windows=3)
    alone: WindowBatch = {**batch}
    alone["signal"] = batch["signal"][1:2]
    alone["channel_positions"] = batch["channel_positions"][1:2]
    torch.testing.assert_close(encoder(alone)[0], encoder(batch)[1], atol=1e-4, rtol=1e-4)


def test_a_window_of_broken_patches_is_refused(encoder: Encoder, spec: SignalSpec, make_batch: MakeBatch) -> None:
    batch = make_batch(19, 2)
    batch["signal"] = batch["signal"][..., :-7]
    with pytest.raises(ConfigError, match=r"1\.93 s.*cuts\.\*\.length_s"):
        encoder(batch)
    name = batch["montage"]
    odd = SignalSpec(100.0, {name: spec.montages[name]}, {name: 193})
    with pytest.raises(ConfigError, match=r"1\.93 s.*cuts\.\*\.length_s"):
        new_encoder(encoder.config, odd, seed=0)


def test_overfits_eight_windows(encoder: Encoder, make_batch: MakeBatch) -> None:
    batch = make_batch(19, 1, n_windows=8)
    target = torch.arange(8) % 2
    head = torch.nn.Linear(encoder.d_model, 2)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    encoder.train()
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=3e-3)
    for _ in range(40):
        loss = torch.nn.functional.cross_entropy(head(encoder(batch).mean(dim=1)), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.1


@pytest.mark.parametrize("n_padded", [1, 12])
def test_padded_channels_are_as_if_they_were_not_there(encoder: Encoder, make_batch: MakeBatch, n_padded: int) -> None:
    batch = make_batch(19, 4)
    mask = torch.ones(2, 19, dtype=torch.bool)
    mask[:, torch.randperm(19, generator=torch.Generator().manual_seed(0))[:n_padded]] = False
    padded: WindowBatch = {**batch, "channel_mask": mask}
    noise = 500 * torch.randn(batch["signal"].shape, generator=torch.Generator().manual_seed(1))
    other: WindowBatch = {**padded, "signal": torch.where(mask.unsqueeze(-1), batch["signal"], noise)}
    real = mask[0]
    alone: WindowBatch = {**batch, "channel_mask": torch.ones(2, int(real.sum()), dtype=torch.bool)}
    alone["signal"], alone["channel_positions"] = batch["signal"][:, real], batch["channel_positions"][:, real]
    shape = (2, 19, -1, encoder.d_model)
    found = encoder(padded).view(shape)
    assert torch.isfinite(found).all()
    assert torch.equal(encoder(other).view(shape)[:, real], found[:, real])
    expected = encoder(alone).view(2, int(real.sum()), -1, encoder.d_model)
    torch.testing.assert_close(found[:, real], expected, atol=1e-5, rtol=1e-5)
    assert (encoder(batch).view(shape)[:, real] - found[:, real]).abs().max() > 1e-3


def test_without_padding_there_is_no_mask(encoder: Encoder, make_batch: MakeBatch) -> None:
    """Attention has faster kernels where it need not look at one."""
    batch = make_batch(19, 2)
    assert encoder.tokenize(batch).channel_mask is None
    batch["channel_mask"] = torch.ones(1, 1, dtype=torch.bool).expand(2, 19)
    assert encoder.tokenize(batch).channel_mask is None


def test_each_window_has_its_own_padding(encoder: Encoder, make_batch: MakeBatch) -> None:
    batch = make_batch(19, 2, n_windows=2)
    mask = torch.ones(2, 19, dtype=torch.bool)
    mask[0, :4], mask[1, 9:] = False, False
    together = encoder({**batch, "channel_mask": mask}).view(2, 19, -1, encoder.d_model)
    for k in range(2):
        alone: WindowBatch = {**batch, "channel_mask": mask[k : k + 1]}
        alone["signal"], alone["channel_positions"] = batch["signal"][k : k + 1], batch["channel_positions"][k : k + 1]
        expected = encoder(alone).view(19, -1, encoder.d_model)
        torch.testing.assert_close(together[k][mask[k]], expected[mask[k]], atol=1e-5, rtol=1e-5)
