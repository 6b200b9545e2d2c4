"""Encoders from checkpoints, by way of a file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from checkpoints import header
from eegfm.batch import SignalSpec, WindowBatch
from eegfm.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from eegfm.encoders.config import EegnetConfig, LabramConfig, LunaConfig, PatchTransformerConfig
from eegfm.encoders.load import build_encoder, new_encoder, untrained_like
from eegfm.errors import CheckpointError, ConfigError
from eegfm.recording import Montage
from eegfm.signal.montages.canonical import canonical_montage

MONTAGE = Montage(("Fz", "Pz"), ((0.0, 0.07, 0.05), (0.0, -0.07, 0.05)), (True, True), "average")
SPEC = SignalSpec(100.0, {MONTAGE.name: MONTAGE}, {MONTAGE.name: 200})
CONFIG = PatchTransformerConfig(d_model=32, head_size=16, n_layers=2)


@pytest.fixture
def checkpoint() -> Checkpoint:
    encoder = new_encoder(CONFIG, SPEC, seed=7)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.01)
    tensors = {f"encoder.{name}": value.numpy().copy() for name, value in encoder.state_dict().items()}
    tensors["objective.mask_token"] = np.zeros(32, dtype=np.float32)
    changes = {"encoder": CONFIG.model_dump(mode="json"), "encoder_spec": SPEC.to_dict(), "seed": 7}
    return Checkpoint(tensors, header(**changes))


def batch() -> WindowBatch:
    return {
        "signal": 20 * torch.randn(3, 2, 200, generator=torch.Generator().manual_seed(0)),
        "channel_positions": torch.from_numpy(MONTAGE.positions()).expand(3, -1, -1),
        "channel_mask": torch.ones(3, 2, dtype=torch.bool),
        "reference": "average",
        "recording": torch.zeros(3, dtype=torch.int64),
        "corpus": "tuh",
        "montage": MONTAGE.name,
    }


def test_weights_survive_the_file(tmp_path: Path, checkpoint: Checkpoint) -> None:
    save_checkpoint(tmp_path / "e.safetensors", checkpoint)
    encoder = build_encoder(load_checkpoint(tmp_path / "e.safetensors"))
    assert not encoder.training
    for name, value in encoder.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), checkpoint.tensors[f"encoder.{name}"], err_msg=name)
    assert not torch.equal(encoder(batch()), untrained_like(checkpoint, 7)(batch()))


def test_untrained_twins_follow_their_seed(checkpoint: Checkpoint) -> None:
    first, again, other = (untrained_like(checkpoint, seed)(batch()) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_what_does_not_fit_is_listed(checkpoint: Checkpoint) -> None:
    tensors = dict(checkpoint.tensors)
    del tensors["encoder.final_norm.weight"]
    tensors["encoder.extra"] = np.zeros(1, dtype=np.float32)
    tensors["encoder.patch_embedding.bias"] = np.zeros(31, dtype=np.float32)
    with pytest.raises(CheckpointError) as caught:
        build_encoder(Checkpoint(tensors, checkpoint.header))
    message = str(caught.value)
    assert "1 missing (encoder.final_norm.weight)" in message
    assert "1 unexpected (encoder.extra)" in message
    assert "encoder.patch_embedding.bias is (31,), needs (32,)" in message


def test_a_header_can_name_only_the_menu(checkpoint: Checkpoint) -> None:
    foreign = checkpoint.header.model_copy(update={"encoder": {"name": "os.system"}})
    with pytest.raises(CheckpointError, match="not on the menu"):
        build_encoder(Checkpoint(checkpoint.tensors, foreign))


def test_a_header_that_does_not_say_how_patches_are_normalized_is_refused(checkpoint: Checkpoint) -> None:
    """Before there was a choice, LUNA took its statistics over the window; the default of today would be silent."""
    said = LunaConfig(n_layers=1).model_dump(mode="json")
    unsaid = {key: value for key, value in said.items() if key != "patch_norm"}
    for header_encoder, keys in ((unsaid, "patch_norm"), (unsaid | {"patch_norm": "x"}, None)):
        old = checkpoint.header.model_copy(update={"encoder": header_encoder})
        expected = rf"does not say {keys}: an earlier eegfm" if keys else "not on the menu"
        with pytest.raises(CheckpointError, match=expected):
            build_encoder(Checkpoint(checkpoint.tensors, old))


def test_channels_are_looked_up_by_name_for_montages_that_come_later() -> None:
    """Montages of the data have other names than those that an encoder was built for, or that its file describes."""
    known, other = canonical_montage("1020_19"), canonical_montage("1010_64")
    spec = SignalSpec(100.0, {"known": known}, {"known": 400})
    config = LabramConfig(channels="names", n_layers=1)
    tensors = {f"encoder.{k}": v.numpy() for k, v in new_encoder(config, spec, 3).state_dict().items()}
    facts = {"encoder": config.model_dump(mode="json"), "encoder_spec": spec.to_dict()}
    checkpoint = Checkpoint(tensors, header(**facts))
    windows: WindowBatch = {**batch(), "signal": torch.randn(3, 64, 400), "montage": "other"}
    windows["channel_mask"] = torch.ones(3, 64, dtype=torch.bool)
    windows["channel_positions"] = torch.from_numpy(other.positions()).expand(3, -1, -1)
    encoder = build_encoder(checkpoint, {"other": other})
    assert encoder(windows).shape == (3, 64 * 2, 200)
    names = [n.upper() for n in known.channel_names]
    places = [[n.upper() for n in other.channel_names].index(n) for n in names]
    few: WindowBatch = {**windows, "signal": windows["signal"][:, places], "montage": "known"}
    of_known, of_other = encoder.tokenize(few).position, encoder.tokenize(windows).position
    assert torch.equal(of_known, of_other.unflatten(1, (64, 2))[:, places].flatten(1, 2))
    with pytest.raises(ConfigError, match="not of other"):
        build_encoder(checkpoint)(windows)
    with pytest.raises(ConfigError, match=r"labram knows 128 channels by name.*but not a, b of montage odd"):
        build_encoder(checkpoint, {"odd": replace(MONTAGE, channel_names=("a", "b"))})
    assert untrained_like(checkpoint, 1, {"other": other})(windows).shape == (3, 128, 200)


def test_an_encoder_of_one_montage_stays_with_it() -> None:
    spec = SignalSpec(100.0, {"m": MONTAGE}, {"m": 200})
    tensors = {f"encoder.{k}": v.numpy() for k, v in new_encoder(EegnetConfig(), spec, 3).state_dict().items()}
    facts = {"encoder": EegnetConfig().model_dump(mode="json"), "encoder_spec": spec.to_dict()}
    encoder = build_encoder(Checkpoint(tensors, header(**facts)), {"other": canonical_montage("1010_64")})
    assert encoder(batch()).shape[0] == 3


SMALL = {"name": "patch_transformer", "d_model": 32, "n_layers": 2, "head_size": 16}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"d_model": 10**6, "head_size": 10**6}, "d_model: Input should be less than or equal to 65536"),
        ({"d_model": 10**400}, "d_model: "),
        ({"n_layers": 10**9}, "n_layers: Input should be less than or equal to 1024"),
        ({"mlp_ratio": float("inf")}, "mlp_ratio: Input should be"),
        ({"d_model": 65536, "head_size": 65536}, "asks for far more weights of patch_transformer than the "),
        ({"d_model": 2048, "head_size": 64, "n_layers": 1024}, "asks for far more weights of patch_transformer"),
        ({"n_position_frequencies": 65536, "d_model": 65536, "head_size": 64}, "asks for far more weights"),
    ],
)
def test_a_header_asks_for_no_more_weights_than_the_file_has(
    checkpoint: Checkpoint, asked: dict[str, Any], expected: str
) -> None:
    huge = checkpoint.header.model_copy(update={"encoder": SMALL | asked})
    for build in (build_encoder, lambda found: untrained_like(found, 0)):
        with pytest.raises(CheckpointError) as caught:
            build(Checkpoint(checkpoint.tensors, huge))
        assert expected in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("choices", [{"d_model": 65536, "n_layers": 1}, {"d_model": 256, "n_layers": 1024}])
def test_no_configuration_asks_for_more_memory_than_the_machine_has(
    choices: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eegfm.nn.weights.machine_bytes", lambda: 64 << 20)
    with pytest.raises(ConfigError, match=r"patch_transformer asks for more weights than half of .* 0\.0671 GB hold"):
        new_encoder(PatchTransformerConfig(**choices), SPEC, seed=0)
