"""The perceiver's attention is real: against the textbook, and while it trains."""

import math

import numpy as np
import pytest
import torch

from eegfm.adapters.config import PerceiverConfig
from eegfm.adapters.interpolate import Splines
from eegfm.adapters.load import new_adapter
from eegfm.adapters.perceiver import Perceiver
from eegfm.batch import SignalSpec, WindowBatch
from eegfm.errors import ConfigError
from eegfm.nn.rereference import all_real
from eegfm.recording import Montage
from eegfm.signal.montages.canonical import canonical_montage

MONTAGES = {"m19": canonical_montage("1020_19"), "m64": canonical_montage("1010_64")}
SPEC = SignalSpec(100.0, MONTAGES, {"m19": 200, "m64": 200})


def build(**choices: object) -> Perceiver:
    adapter = new_adapter(PerceiverConfig(**{"d_model": 32, "montage": "1020_19", **choices}), SPEC, seed=0)
    assert isinstance(adapter, Perceiver)
    return adapter.eval()


def batch(name: str = "m19", n_windows: int = 2, n_samples: int = 200, seed: int = 0) -> WindowBatch:
    montage: Montage = MONTAGES[name]
    shape = (n_windows, montage.n_channels, n_samples)
    return {
        "signal": 20 * torch.randn(shape, generator=torch.Generator().manual_seed(seed)),
        "channel_positions": torch.from_numpy(montage.positions()).expand(n_windows, -1, -1),
        "channel_mask": all_real(n_windows, montage.n_channels, torch.device("cpu")),
        "reference": "average",
        "recording": torch.zeros(n_windows, dtype=torch.int64),
        "corpus": "c",
        "montage": name,
    }


def test_equals_attention_written_out() -> None:
    """Head by head, patch by patch, query by query."""
    adapter, windows = build(n_heads=2), batch()
    S, d = adapter.patch_samples, 16
    places = adapter.place_embedding(windows["channel_positions"][0])
    virtual = torch.from_numpy(adapter.virtual.positions())
    queries = adapter.query(adapter.query_norm(adapter.query_embedding.weight + adapter.place_embedding(virtual)))
    widths_m = 0.015 * adapter.log_widths.exp()
    torch.testing.assert_close(widths_m, torch.tensor([0.015, 0.06]))
    expected = torch.zeros(19, 200)
    for p in range(200 // S):
        patch = windows["signal"][1, :, p * S : (p + 1) * S] / 30
        tokens = adapter.patch_embedding(patch) + places
        keys, values = adapter.key(adapter.token_norm(tokens)), adapter.value(tokens)
        for k in range(19):
            heads = []
            for h in range(2):
                part = slice(h * d, (h + 1) * d)
                squares = (windows["channel_positions"][0] - virtual[k]).square().sum(dim=1)
                logits = keys[:, part] @ queries[k, part] / math.sqrt(d) - squares / (2 * widths_m[h] ** 2)
                heads.append(logits.softmax(dim=0) @ values[:, part])
            expected[k, p * S : (p + 1) * S] = 30 * adapter.projection(torch.cat(heads))
    torch.testing.assert_close(adapter(windows)["signal"][1], expected, atol=1e-3, rtol=1e-4)


def test_virtual_channels_begin_as_local_averages_of_several_widths() -> None:
    weights = build(montage="1020_19", d_model=64).attention_weights(batch("m64"))
    assert weights.shape == (2, 8, 4, 19, 64)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 8, 4, 19))
    nearest = [MONTAGES["m64"].channel_names.index(name) for name in MONTAGES["m19"].channel_names]
    own = weights[..., range(19), nearest].mean(dim=(0, 1, 3))
    assert (own.diff() < 0).all()  # from narrow to wide
    assert own[0] > 0.4
    assert own[-1] < 0.2


def test_content_decides_too() -> None:
    adapter = build()
    first, second = (adapter.attention_weights(batch(seed=seed)) for seed in (0, 1))
    assert (first - second).abs().max() > 0.02


def test_masked_channels_get_no_weight() -> None:
    windows = batch()
    windows["channel_mask"] = torch.ones(2, 19, dtype=torch.bool)
    windows["channel_mask"][:, [2, 9]] = False
    weights = build().attention_weights(windows)
    assert not weights[..., [2, 9]].any()
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:-1]))


def test_patches_are_seen_on_their_own_and_all_at_once() -> None:
    """A change in one patch stays in it; the order of patches is theirs in time."""
    adapter, windows = build(patch_s=0.5), batch()
    out = adapter(windows)["signal"]
    changed: WindowBatch = {**windows, "signal": windows["signal"].clone()}
    changed["signal"][:, 3, 50:100] += 30
    difference = (adapter(changed)["signal"] - out).abs().amax(dim=(0, 1)).view(4, 50).amax(dim=1)
    assert (difference > 0).tolist() == [False, True, False, False]
    flipped: WindowBatch = {**windows, "signal": windows["signal"].view(2, 19, 4, 50).flip(2).reshape(2, 19, 200)}
    back = adapter(flipped)["signal"].view(2, 19, 4, 50).flip(2).reshape(2, 19, 200)
    torch.testing.assert_close(back, out, atol=1e-3, rtol=1e-4)


def test_positions_per_window_equal_shared_ones() -> None:
    adapter, windows = build(), batch("m64")
    apart: WindowBatch = {**windows, "channel_positions": windows["channel_positions"].clone()}
    torch.testing.assert_close(adapter(apart)["signal"], adapter(windows)["signal"], atol=1e-4, rtol=1e-4)
    moved: WindowBatch = {**apart, "channel_positions": windows["channel_positions"].roll(1, dims=1)}
    assert (adapter(moved)["signal"] - adapter(windows)["signal"]).abs().max() > 1


def test_heads_of_one_batch_may_differ() -> None:
    adapter, windows = build(), batch("m64")
    places = windows["channel_positions"].clone()
    places[1] = places[1].roll(7, dims=0)
    together = adapter({**windows, "channel_positions": places})["signal"]
    for k in range(2):
        alone: WindowBatch = {**windows, "signal": windows["signal"][k : k + 1]}
        alone["channel_positions"] = places[k : k + 1]
        alone["channel_mask"] = windows["channel_mask"][k : k + 1]
        torch.testing.assert_close(adapter(alone)["signal"][0], together[k], atol=1e-3, rtol=1e-4)


def test_the_target_is_the_fixed_interpolation_and_carries_no_gradient() -> None:
    adapter, windows = build(), batch("m64")
    out = adapter(windows)
    expected = Splines(SPEC, canonical_montage("1020_19"), 1e-5)(windows)
    assert torch.equal(out["target_signal"], expected)
    assert not out["target_signal"].requires_grad
    assert out["signal"].requires_grad
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.zero_()
    collapsed = adapter(windows)
    assert not collapsed["signal"].any()
    assert torch.equal(collapsed["target_signal"], expected)


def test_it_learns_to_look_where_it_is_told() -> None:
    """Each virtual channel must return the signal of the electrode on the other side of the head, of two montages."""
    adapter = build(patch_s=0.1, d_model=32).train()
    twins = {"m19": batch("m19", 4, 100), "m64": batch("m64", 4, 100)}
    mirrored = canonical_montage("1020_19").positions() * np.array([-1, 1, 1], dtype=np.float32)
    wanted = {}
    for name in twins:
        distances = np.linalg.norm(mirrored[:, None] - MONTAGES[name].positions(), axis=2)
        wanted[name] = torch.from_numpy(distances.argmin(axis=1))
    before = adapter.attention_weights(twins["m64"])
    optimizer = torch.optim.AdamW(adapter.parameters(), lr=1e-2)
    for step in range(150):
        loss = torch.zeros(())
        for name in twins:
            windows = batch(name, 4, 100, seed=step)
            target = windows["signal"][:, wanted[name]]
            loss = loss + (adapter(windows)["signal"] - target).square().mean() / 400
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            assert all(parameter.grad.abs().max() > 0 for parameter in adapter.parameters())
        optimizer.step()
    after = adapter.attention_weights(twins["m64"])
    looked = after[..., range(19), wanted["m64"]].mean(dim=(0, 1)).amax(dim=0)
    assert float(loss.detach()) < 0.7  # 2 where it returned nothing
    assert looked.median() > 2 * before[..., range(19), wanted["m64"]].mean(dim=(0, 1)).amax(dim=0).median()
    entropy = -(after * after.clamp_min(1e-12).log()).sum(dim=-1).mean()
    assert entropy < 0.8 * math.log(64)


def test_windows_that_are_not_whole_patches_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"200 samples, no whole number of adapter patches of 30; .*adapter\.patch_s"):
        build(patch_s=0.3)
    with pytest.raises(ConfigError, match=r"patch_s 0\.333 is 33\.3 samples at 100 Hz.*nearest: 0\.33"):
        build(patch_s=0.333)
    with pytest.raises(ConfigError, match="190 samples"):
        build(patch_s=0.25)(batch(n_samples=190))


def test_encoders_must_fit() -> None:
    adapter = build(patch_s=0.25)
    adapter.check_patches(100)
    with pytest.raises(ConfigError, match=r"adapter\.patch_s 0\.25 is 25 samples, .* encoder's patch of 80"):
        adapter.check_patches(80)


def test_queries_can_be_counted_instead_of_named() -> None:
    adapter = build(n_queries=12, montage="gsn_129")
    assert adapter(batch("m64"))["signal"].shape == (2, 12, 200)
    assert adapter.adapted(MONTAGES["m64"]).channel_names[:2] == ("V1", "V2")
