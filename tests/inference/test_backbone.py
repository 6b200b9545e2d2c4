"""A backbone computes what its four parts compute one after another."""

from dataclasses import replace

import pytest
import torch

from eegfm.adapters.config import NoAdapterConfig, PerceiverConfig
from eegfm.adapters.load import new_adapter
from eegfm.batch import SignalSpec, StoredBatch
from eegfm.config import Buildable
from eegfm.encoders.config import LabramConfig, PatchTransformerConfig
from eegfm.encoders.load import new_encoder
from eegfm.errors import CheckpointError, ConfigError
from eegfm.inference.backbone import Backbone, load_backbone, new_backbone, untrained_backbone_like
from eegfm.nn.rereference import NewReference, Rereference
from eegfm.signal.montages.canonical import canonical_montage
from exports import checkpoint_of

ENCODER = PatchTransformerConfig(d_model=16, head_size=8, n_layers=1)
PERCEIVER = PerceiverConfig(d_model=32, montage="1020_19")
MONTAGES = {m.name: m for m in (canonical_montage("1020_19"), canonical_montage("1010_64"))}
SPEC = SignalSpec(100.0, MONTAGES, dict.fromkeys(MONTAGES, 400))


def new(adapter: Buildable, reference: NewReference = "average", seed: int = 5) -> Backbone:
    return new_backbone(ENCODER, adapter, SPEC, seed, reference=reference, bad_channels="mask")


def stored(spec: SignalSpec, montage: str, n_windows: int = 3) -> StoredBatch:
    draw = torch.Generator().manual_seed(0)
    n_channels, n_samples = spec.montages[montage].n_channels, spec.n_samples[montage]
    return {
        "samples": torch.randint(-999, 999, (n_windows, n_samples, n_channels), generator=draw).to(torch.int16),
        "scales_uv": 0.05 + torch.rand(n_windows, n_channels, generator=draw),
        "recording": torch.arange(n_windows),
        "corpus": "tuh",
        "montage": montage,
    }


@pytest.mark.parametrize("adapter", [NoAdapterConfig(), PERCEIVER], ids=lambda a: a.name)
@pytest.mark.parametrize("reference", ["average", "as_recorded"])
def test_a_new_backbone_is_its_parts_wired_by_hand_to_the_bit(adapter: Buildable, reference: NewReference) -> None:
    backbone = new(adapter, reference).eval()
    rereference = Rereference(MONTAGES, reference, "mask")
    referenced_spec = rereference.rereferenced_spec(SPEC)
    by_hand = new_adapter(adapter, referenced_spec, 5).eval()
    encoder = new_encoder(ENCODER, by_hand.adapted_spec(referenced_spec), 5).eval()
    assert backbone.encoder_spec == by_hand.adapted_spec(referenced_spec)
    for montage in MONTAGES:
        batch = stored(SPEC, montage)
        batch_uv = by_hand(rereference(batch))
        windows = {**batch_uv, "signal": (batch_uv["signal"] / 30).clamp(-15, 15), "signal_uv": batch_uv["signal"]}
        vectors, features = backbone(batch)
        for name in ("signal", "signal_uv"):
            assert torch.equal(backbone.prepare(batch)[name], windows[name])
        assert torch.equal(vectors, encoder(windows))
        assert torch.equal(features.values, encoder.features(windows).values)
        assert torch.equal(features.mask, encoder.features(windows).mask)


def test_initial_weights_follow_from_the_seed_and_leave_the_global_state() -> None:
    before = torch.random.get_rng_state()
    one, same, other = new(PERCEIVER), new(PERCEIVER), new(PERCEIVER, seed=6)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(value, same.state_dict()[name]) for name, value in one.state_dict().items())
    for part in ("adapter.", "encoder."):
        weights = {n: v for n, v in one.state_dict().items() if n.startswith(part)}
        assert any(not torch.equal(value, other.state_dict()[name]) for name, value in weights.items())


def test_the_state_dict_holds_the_names_of_checkpoints() -> None:
    checkpoint = checkpoint_of(ENCODER, PERCEIVER)
    backbone = load_backbone(checkpoint)
    assert not backbone.training
    assert backbone.state_dict().keys() == checkpoint.tensors.keys()
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, torch.from_numpy(checkpoint.tensors[name]))


def test_a_loaded_backbone_takes_the_montages_that_it_is_told() -> None:
    checkpoint = checkpoint_of(LabramConfig(channels="names", n_layers=1), rate_hz=200.0)
    other = canonical_montage("1010_64")
    spec = SignalSpec(200.0, {other.name: other}, {other.name: 600})
    batch = stored(spec, other.name)
    assert load_backbone(checkpoint, spec)(batch).features.values.shape == (3, 64, 200)
    with pytest.raises(ConfigError, match=f"montage {other.name} is not prepared"):
        load_backbone(checkpoint)(batch)


def test_the_untrained_twin_differs_in_its_weights_only() -> None:
    checkpoint = checkpoint_of(ENCODER, PERCEIVER)
    trained, twin = load_backbone(checkpoint), untrained_backbone_like(checkpoint, None, 9)
    assert not twin.training
    assert twin.state_dict().keys() == trained.state_dict().keys()
    assert twin.encoder_spec == trained.encoder_spec
    batch = stored(trained.spec, *trained.spec.montages)
    assert torch.equal(twin.rereference(batch)["signal"], trained.rereference(batch)["signal"])
    assert not torch.equal(twin.prepare(batch)["signal"], trained.prepare(batch)["signal"])
    batch_uv = trained.prepare(batch)
    assert not torch.equal(twin.encoder(batch_uv), trained.encoder(batch_uv))


def test_every_parameter_has_a_depth_and_those_of_the_adapter_are_embeddings() -> None:
    backbone = new(PERCEIVER)
    groups = backbone.depth_groups()
    assert sorted(id(p) for group in groups for p in group) == sorted(map(id, backbone.parameters()))
    assert len(groups) == 1 + ENCODER.n_layers
    assert {id(p) for p in backbone.adapter.parameters()} < {id(p) for p in groups[0]}
    names = {name for name, p in backbone.named_parameters() if any(p is q for q in groups[-1])}
    assert {n.split(".")[1] for n in names} == {"layers", "final_norm"}


def test_lora_wraps_linear_maps_of_the_encoder_by_their_names_in_the_backbone() -> None:
    backbone = new(PERCEIVER)
    targets = backbone.lora_targets()
    assert len(targets) == 5  # one layer, which looks across channels
    for name, target in targets.items():
        assert backbone.get_submodule(name) is target
        assert name.startswith("encoder.layers.")


def test_an_adapter_that_would_mix_patches_is_refused() -> None:
    backbone = new(PERCEIVER)
    uneven = replace(SPEC, rate_hz=77.0, n_samples=dict.fromkeys(MONTAGES, 770))
    with pytest.raises(ConfigError, match="patch"):
        Backbone(backbone.rereference, backbone.adapter, backbone.normalization, new_encoder(ENCODER, uneven, 0), SPEC)


def test_weights_of_other_code_are_refused_unless_that_is_accepted() -> None:
    checkpoint = checkpoint_of(ENCODER, encoder_code={"eegfm.nn.rereference": "0"})
    with pytest.raises(CheckpointError, match=r"set probe\.accept_other_code=true"):
        load_backbone(checkpoint, key="probe.accept_other_code")
    assert load_backbone(checkpoint, accept_other_code=True)


def test_a_reference_that_nobody_knows_is_refused() -> None:
    with pytest.raises(CheckpointError, match="wants reference 'odd'; known are average"):
        load_backbone(checkpoint_of(ENCODER, reference="odd"))
