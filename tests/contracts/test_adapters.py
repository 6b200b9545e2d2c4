"""Promises of every adapter on the menu."""

from pathlib import Path
from typing import Annotated, get_args, get_origin

import numpy as np
import pytest
import torch

from checkpoints import header
from eegfm.adapters.base import Adapter
from eegfm.adapters.config import AdapterConfig, InterpolateConfig, PerceiverConfig, ZeroPadConfig
from eegfm.adapters.load import PREFIX, build_adapter, new_adapter, untrained_adapter_like
from eegfm.adapters.zero_pad import ZeroPad
from eegfm.batch import SignalSpec, WindowBatch
from eegfm.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from eegfm.config import Buildable
from eegfm.encoders.config import PatchTransformerConfig
from eegfm.errors import CheckpointError, ConfigError
from eegfm.inference.backbone import new_backbone
from eegfm.nn.context import Context
from eegfm.nn.rereference import Rereference, all_real
from eegfm.nn.weights import build_seeded
from eegfm.objectives.config import MaskedConfig
from eegfm.recording import Montage
from eegfm.signal.montages.canonical import canonical_montage

LENGTHS_S = {19: 2, 21: 10, 64: 3, 129: 4}
MONTAGES = {m.n_channels: m for m in map(canonical_montage, ("1020_19", "1020_21", "1010_64", "gsn_129"))}
SPEC = SignalSpec(
    100.0,
    {f"m{n}": montage for n, montage in MONTAGES.items()},
    {f"m{n}": 100 * seconds for n, seconds in LENGTHS_S.items()},
)


def members(union: object) -> list[type[Buildable]]:
    """Classes of an annotated union."""
    assert get_origin(union) is Annotated
    return list(get_args(get_args(union)[0]))


CONFIGS = [member() for member in members(AdapterConfig)] + [
    ZeroPadConfig(montage="1020_19", unplaced="drop"),
    InterpolateConfig(montage="1020_21", regularisation=0.0),
    PerceiverConfig(montage="1020_19", patch_s=0.1, d_model=32, n_heads=2),
    PerceiverConfig(n_queries=24, patch_s=0.5, d_model=24, n_heads=3),
]


def permuted(montage: Montage, order: list[int]) -> Montage:
    columns = (montage.channel_names, montage.positions_m, montage.is_scalp)
    return Montage(*(tuple(column[k] for k in order) for column in columns), montage.reference)


def make_batch(n_channels: int, duration_s: int, n_windows: int = 2, seed: int = 0, name: str = "") -> WindowBatch:
    generator = torch.Generator().manual_seed(seed)
    positions = torch.from_numpy(MONTAGES[n_channels].positions())
    return {
        "signal": 20 * torch.randn(n_windows, n_channels, 100 * duration_s, generator=generator),
        "channel_positions": positions.expand(n_windows, -1, -1),
        "channel_mask": all_real(n_windows, n_channels, torch.device("cpu")),
        "reference": "average",
        "recording": torch.zeros(n_windows, dtype=torch.int64),
        "corpus": "tuh",
        "montage": name or f"m{n_channels}",
        "label": torch.arange(n_windows),
    }


def checkpoint_of(adapter: Adapter, config: Buildable) -> Checkpoint:
    tensors = {f"{PREFIX}{name}": value.numpy().copy() for name, value in adapter.state_dict().items()}
    tensors["encoder.weight"] = np.zeros(1, dtype=np.float32)
    return Checkpoint(tensors, header(adapter=config.model_dump(mode="json"), seed=3))


@pytest.fixture(params=CONFIGS, ids=lambda c: f"{c.name}-{getattr(c, 'n_queries', None) or getattr(c, 'montage', '')}")
def config(request: pytest.FixtureRequest) -> Buildable:
    return request.param


@pytest.fixture
def adapter(config: Buildable) -> Adapter:
    return new_adapter(config, SPEC, seed=0).eval()


@pytest.mark.parametrize(("n_channels", "duration_s"), [*LENGTHS_S.items(), (129, 1)])
def test_any_montage_becomes_what_is_announced(adapter: Adapter, n_channels: int, duration_s: int) -> None:
    batch = make_batch(n_channels, duration_s)
    out = adapter(batch)
    announced = adapter.adapted(MONTAGES[n_channels])
    K, T = announced.n_channels, 100 * duration_s
    assert out["signal"].shape == (2, K, T)
    assert out["signal"].dtype == torch.float32
    assert torch.isfinite(out["signal"]).all()
    assert out["channel_mask"].shape == (2, K)
    assert out["channel_mask"].any(dim=1).all()
    np.testing.assert_array_equal(out["channel_positions"][1].numpy(), announced.positions())
    assert out.get("target_signal", out["signal"]).shape == (2, K, T)
    for key in ("reference", "corpus", "montage"):
        assert out[key] == batch[key]
    assert torch.equal(out["label"], batch["label"])
    assert adapter.adapted_spec(SPEC).montages[batch["montage"]] == announced
    assert adapter.adapted_spec(SPEC).n_samples == SPEC.n_samples


def test_the_configuration_says_whether_there_is_anything_to_train(adapter: Adapter, config: Buildable) -> None:
    assert config.has_weights == (len(list(adapter.parameters())) > 0)


def test_the_input_is_left_alone(adapter: Adapter) -> None:
    batch = make_batch(21, 2)
    before = batch["signal"].clone()
    adapter(batch)["signal"].sum()
    assert torch.equal(batch["signal"], before)
    assert set(batch) == set(make_batch(21, 2))


def test_gradients_are_finite_and_reach_every_weight(adapter: Adapter) -> None:
    for n_channels in (21, 129):
        adapter.zero_grad()
        out = adapter(make_batch(n_channels, 2))["signal"]
        if not list(adapter.parameters()):
            return
        (out * torch.randn(out.shape, generator=torch.Generator().manual_seed(1))).sum().backward()
        for name, parameter in adapter.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
            assert parameter.grad.abs().max() > 1e-6, name


def test_every_channel_matters(adapter: Adapter) -> None:
    """The attention of a predecessor returned the same whatever it was shown."""
    batch = make_batch(64, 1)
    out = adapter(batch)["signal"]
    unused = set(adapter.unplaced["m64"]) if isinstance(adapter, ZeroPad) else set()
    for k, name in enumerate(MONTAGES[64].channel_names):
        changed = batch["signal"].clone()
        changed[:, k] += 20 * torch.randn(2, 100, generator=torch.Generator().manual_seed(k))
        difference = (adapter({**batch, "signal": changed})["signal"] - out).abs().max()
        assert (difference == 0) if name in unused else (difference > 0.05), name


def test_no_second_tells_of_another(adapter: Adapter) -> None:
    """What an objective masks stays masked: all channels of a patch of the encoder, here of a second."""
    batch = make_batch(64, 3)
    changed = batch["signal"].clone()
    changed[..., 100:200] = 1e3 * changed[..., 100:200].flip(-1) + 50
    for key in ("signal", "target_signal"):
        before, after = (adapter({**batch, "signal": s}).get(key) for s in (batch["signal"], changed))
        if before is not None:
            is_moved = (after != before).any(dim=1).any(dim=0).view(3, 100)
            assert is_moved.any(dim=1).tolist() == [False, True, False], key


def test_the_order_of_channels_changes_nothing(config: Buildable) -> None:
    order = torch.randperm(64, generator=torch.Generator().manual_seed(3)).tolist()
    spec = SignalSpec(100.0, {"m64": MONTAGES[64], "other": permuted(MONTAGES[64], order)}, {"m64": 200, "other": 200})
    adapter = new_adapter(config, spec, seed=0).eval()
    batch = make_batch(64, 2)
    other: WindowBatch = {**batch, "montage": "other"}
    other["signal"] = batch["signal"][:, order]
    other["channel_positions"] = batch["channel_positions"][:, order]
    expected, found = adapter(batch), adapter(other)
    for key in ("signal", "target_signal", "channel_positions", "channel_mask"):
        if config.name == "none" and key != "target_signal":
            expected[key] = expected[key][:, order]
        if key in expected:
            torch.testing.assert_close(found[key], expected[key], atol=2e-3, rtol=1e-4)


def test_masked_channels_change_nothing(adapter: Adapter) -> None:
    batch = make_batch(64, 2)
    mask = torch.ones(2, 64, dtype=torch.bool)
    mask[:, [MONTAGES[64].channel_names.index(name) for name in ("C3", "Pz", "AF7")]] = False
    masked: WindowBatch = {**batch, "channel_mask": mask}
    noisy: WindowBatch = {**masked, "signal": torch.where(mask.unsqueeze(-1), batch["signal"], torch.tensor(999.0))}
    first, second = adapter(masked), adapter(noisy)
    real = first["channel_mask"].unsqueeze(-1)
    for key in ("signal", "target_signal"):
        if key in first:
            assert torch.equal(first[key] * real, second[key] * real)
    assert torch.equal(first["channel_mask"], second["channel_mask"])
    is_seen = not torch.equal(first["signal"], adapter(batch)["signal"])
    assert is_seen or not first["channel_mask"].all()


def test_what_is_masked_behind_an_adapter_is_zero(adapter: Adapter) -> None:
    for n_channels in LENGTHS_S:
        out = adapter(make_batch(n_channels, 2))
        assert not out["signal"][~out["channel_mask"]].any()


def test_windows_do_not_see_each_other(adapter: Adapter) -> None:
    batch = make_batch(19, 2, n_windows=3)
    alone: WindowBatch = {**batch}
    for key in ("signal", "channel_positions", "channel_mask"):
        alone[key] = batch[key][1:2]
    torch.testing.assert_close(adapter(alone)["signal"][0], adapter(batch)["signal"][1], atol=1e-3, rtol=1e-4)


def test_weights_do_not_depend_on_the_montages(config: Buildable, adapter: Adapter) -> None:
    """One set of weights for 21 and 129 channels; no matrix of a montage is saved."""
    few = new_adapter(config, SignalSpec(100.0, {"m21": MONTAGES[21]}, {"m21": 400}), seed=0).eval()
    assert {n: v.shape for n, v in few.state_dict().items()} == {n: v.shape for n, v in adapter.state_dict().items()}
    assert set(few.state_dict()) == {name for name, _ in few.named_parameters()}
    batch = make_batch(21, 4)
    assert torch.equal(few(batch)["signal"], adapter(batch)["signal"])
    if config.name != "none":
        with pytest.raises(ConfigError, match=r"m129 is not prepared; prepared montages: \['m21'\]"):
            few(make_batch(129, 4))


def test_a_checkpoint_brings_it_back_to_the_bit(tmp_path: Path, config: Buildable) -> None:
    trained = new_adapter(config, SPEC, seed=0).eval()
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(0.01 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    save_checkpoint(tmp_path / "a.safetensors", checkpoint_of(trained, config))
    checkpoint = load_checkpoint(tmp_path / "a.safetensors")
    again = build_adapter(checkpoint, SignalSpec(100.0, {"m129": MONTAGES[129]}, {"m129": 400}))
    batch = make_batch(129, 4)
    assert not again.training
    assert torch.equal(again(batch)["signal"], trained(batch)["signal"])
    first, second, other = (untrained_adapter_like(checkpoint, SPEC, seed)(batch)["signal"] for seed in (5, 5, 6))
    assert torch.equal(first, second)
    assert torch.equal(first, other) == (not list(trained.parameters()))


def test_weights_that_do_not_fit_are_refused(config: Buildable, adapter: Adapter) -> None:
    checkpoint = checkpoint_of(adapter, config)
    extra = Checkpoint({**checkpoint.tensors, f"{PREFIX}extra": np.zeros(2, dtype=np.float32)}, checkpoint.header)
    with pytest.raises(CheckpointError, match=r"weights do not fit the adapter: 1 unexpected \(adapter\.extra\)"):
        build_adapter(extra, SPEC)


def test_low_precision_keeps_microvolts(adapter: Adapter) -> None:
    batch = make_batch(21, 2)
    with torch.autocast("cpu", torch.bfloat16):
        out = adapter(batch)
    assert out["signal"].dtype == torch.float32
    exact = adapter(batch)
    tolerance = {"atol": 2.0, "rtol": 0.05} if list(adapter.parameters()) else {"atol": 0.0, "rtol": 0.0}
    torch.testing.assert_close(out["signal"], exact["signal"], **tolerance)
    if "target_signal" in out:
        assert torch.equal(out["target_signal"], exact["target_signal"])


def test_derivations_have_no_place(config: Buildable) -> None:
    rereference = Rereference({"m21": MONTAGES[21]}, "tcp_bipolar")
    spec = rereference.rereferenced_spec(SignalSpec(100.0, {"m21": MONTAGES[21]}, {"m21": 200}))
    if config.name == "none":
        assert new_adapter(config, spec, seed=0).adapted_spec(spec) == spec
    else:
        with pytest.raises(ConfigError, match=f"adapter {config.name} takes electrodes, montage m21 holds bipolar"):
            new_adapter(config, spec, seed=0)


@pytest.mark.parametrize("member", members(AdapterConfig), ids=lambda m: m.__name__)
def test_objectives_learn_eight_windows_through_it(member: type[Buildable]) -> None:
    """Of two montages, by heart, adapter, encoder and objective together."""
    spec = SignalSpec(100.0, {f"m{n}": MONTAGES[n] for n in (19, 21)}, {"m19": 200, "m21": 200})
    choices = {"montage": "1020_19", "unplaced": "drop"}
    config = member(**{key: value for key, value in choices.items() if key in member.model_fields})
    encoder = PatchTransformerConfig(d_model=32, head_size=16, n_layers=2)
    backbone = new_backbone(encoder, config, spec, 0, reference="as_recorded", bad_channels="mask")
    backbone.prepare = lambda batch, change=None: backbone.normalization(backbone.adapter(batch))
    objective = build_seeded(MaskedConfig(), 0, backbone)
    batches = [make_batch(19, 2, 4), make_batch(21, 2, 4)]
    time_s = torch.arange(200) / 100.0
    for batch, low_hz in zip(batches, (4, 13), strict=True):
        waves = torch.sin(2 * torch.pi * (low_hz + torch.arange(4.0).view(4, 1, 1)) * time_s)
        batch["signal"] = 30 * waves * torch.cos(20 * batch["channel_positions"][..., :1])
    objective.setup(batches, Context())
    optimizer = torch.optim.AdamW(objective.parameters(), lr=5e-3)
    for step in range(60):
        losses = [objective(batch, Context(step)) for batch in batches]
        optimizer.zero_grad()
        sum(output.loss for output in losses).backward()
        optimizer.step()
        if step == 0:
            assert all(parameter.grad.abs().max() > 0 for parameter in backbone.adapter.parameters())
    for loss, logs, _ in losses:
        assert float(loss.detach()) < 0.35 * float(logs["baseline_loss"])
