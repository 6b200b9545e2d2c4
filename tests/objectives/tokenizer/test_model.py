"""The tokenizer as an objective: codes from first windows, a codebook that follows, spectra to show."""

import numpy as np
import pytest
import torch
from torch import Tensor

from backbones import WindowBackbone
from contracts.encoder_cases import MONTAGES, make_batch, spec_of
from eegfm.augmentations.config import GainConfig
from eegfm.encoders.config import LabramConfig, PatchTransformerConfig
from eegfm.encoders.labram.tokenizer_config import TOKENIZER_ENCODER
from eegfm.encoders.load import new_encoder
from eegfm.errors import CheckpointError, ConfigError
from eegfm.nn.context import Context
from eegfm.objectives.base import GivesCodes, Reconstructs
from eegfm.objectives.config import TokenizerConfig
from eegfm.objectives.tokenizer.model import Tokenizer

SPEC = spec_of([MONTAGES[19]], 4)
ENCODER = LabramConfig.model_validate({
    **TOKENIZER_ENCODER, "n_maps": 4, "n_heads": 5, "n_layers": 2, "drop_path_ratio": 0.5
})  # fmt: skip
CONFIG = TokenizerConfig(n_codes=16, d_code=8, n_decoder_layers=1)


def build(config: TokenizerConfig = CONFIG) -> Tokenizer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Tokenizer(config, WindowBackbone(new_encoder(ENCODER, SPEC, 0), SPEC))


def placed(state_before: int = 0, corpora: tuple[str, ...] = ()) -> Tokenizer:
    tokenizer = build().train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(state_before)
        tokenizer.setup([make_batch(), make_batch(seed=2)], Context(corpora=corpora))
    return tokenizer


def test_first_windows_place_the_codes_whatever_else_is_drawn() -> None:
    """Ranks see the same windows, but their dropout differs."""
    first, second = placed(1), placed(2, corpora=("hbn", "tuh"))
    assert first.training
    assert torch.equal(first.tokenizer.quantizer.codebook, second.tokenizer.quantizer.codebook)
    assert first.codes(make_batch()).unique().numel() > 8


def test_the_decoder_begins_at_the_mean_spectrum_which_is_the_baseline() -> None:
    """Of first windows, each of which counts alike, without channels that are not there."""
    tokenizer, first, second = build().train(), make_batch(), make_batch(n_windows=1, seed=2)
    first["channel_mask"], second["channel_mask"] = (torch.ones(n, 19, dtype=torch.bool) for n in (2, 1))
    first["channel_mask"][:, 4] = False
    tokenizer.setup([first, second], Context())
    sums = np.zeros(200)
    for batch in (first, second):
        mask = batch["channel_mask"][0].numpy()
        windows = batch["signal_uv"].double().numpy().reshape(-1, 19, 4, 200)[:, mask]
        for window in np.abs(np.fft.fft(windows)):
            sums += ((window - window.mean()) / window.std(ddof=1)).mean(axis=(0, 1)) / 3
    np.testing.assert_allclose(tokenizer.amplitude_mean.numpy(), sums, atol=1e-3)
    torch.testing.assert_close(tokenizer.tokenizer.decoder.amplitude[-1].bias.detach(), tokenizer.amplitude_mean)
    torch.testing.assert_close(tokenizer.tokenizer.decoder.phase[-1].bias.detach(), tokenizer.phase_mean)
    output = tokenizer.eval()(second, Context())
    shown = tokenizer.reconstruct(second, Context())["target"][0].flatten(0, 1)
    of_mean = float((shown - tokenizer.amplitude_mean[:101]).square().mean())
    assert float(output.logs["baseline_loss"]) == pytest.approx(of_mean + 1, abs=0.05)
    assert float(output.logs["loss"]) == pytest.approx(float(output.logs["baseline_loss"]), abs=0.15)
    assert isinstance(tokenizer, GivesCodes)
    assert tokenizer.code_counts is not None
    assert torch.equal(tokenizer.code_counts, torch.bincount(tokenizer.codes(second).flatten(), minlength=16).float())
    assert "perplexity" not in output.logs, "it would be that of the training"


def test_features_are_those_of_untouched_windows() -> None:
    tokenizer, batch = placed().eval(), make_batch(seed=3)
    assert tokenizer.encodes_untouched
    found = tokenizer(batch, Context()).features
    assert found is not None
    assert torch.equal(found.features.pooled, tokenizer.backbone(batch).features.pooled)
    assert not build(CONFIG.model_copy(update={"augment": [GainConfig()]})).encodes_untouched


def test_without_first_windows_there_is_no_loss() -> None:
    with pytest.raises(CheckpointError, match="no codebook yet"):
        build()(make_batch(), Context())


def test_the_codebook_follows_once_per_step() -> None:
    tokenizer, batch = placed(), make_batch(seed=3)
    before = tokenizer.tokenizer.quantizer.codebook.clone()
    tokenizer(batch, Context())
    assert torch.equal(tokenizer.tokenizer.quantizer.codebook, before)
    tokenizer.after_step(Context())
    after = tokenizer.tokenizer.quantizer.codebook.clone()
    assert not torch.equal(after, before)
    tokenizer.eval()(batch, Context())
    tokenizer.after_step(Context())
    assert torch.equal(tokenizer.tokenizer.quantizer.codebook, after), "a validation moves nothing"


def test_codes_are_those_that_the_loss_quantises() -> None:
    tokenizer, batch = placed().eval(), make_batch(seed=3)
    seen: list[Tensor] = []
    tokenizer.tokenizer.quantizer.register_forward_hook(lambda *call: seen.append(call[2].codes))
    tokenizer(batch, Context())
    assert torch.equal(tokenizer.codes(batch), seen[0])
    assert tokenizer.n_codes == 16


def test_what_is_shown_is_augmented_and_so_are_its_spectra() -> None:
    """A gain changes no standardised spectrum; other changes do."""
    tokenizer = build(CONFIG.model_copy(update={"augment": (GainConfig(log_sd=2.0),)}))
    batch = make_batch()
    tokenizer.setup([batch], Context())
    shown = tokenizer.eval().reconstruct(batch, Context())
    assert not torch.equal(shown["signal_uv"], batch["signal_uv"])
    plain = placed().eval().reconstruct(batch, Context())
    torch.testing.assert_close(shown["target"], plain["target"], rtol=1e-3, atol=1e-3)


def test_reconstructions_are_amplitudes_up_to_half_the_rate() -> None:
    tokenizer, batch = placed().eval(), make_batch()
    assert isinstance(tokenizer, Reconstructs)
    mask = torch.ones(2, 19, dtype=torch.bool)
    mask[1, 3] = False
    shown = tokenizer.reconstruct({**batch, "channel_mask": mask}, Context())
    amplitude = np.abs(np.fft.fft(batch["signal_uv"].double().numpy().reshape(2, 19, 4, 200)))
    first = amplitude[0]
    expected = (first - first.mean()) / first.std(ddof=1)
    np.testing.assert_allclose(shown["target"][0].numpy(), expected[..., :101], atol=1e-3)
    assert shown["frequencies_hz"] == pytest.approx(list(range(101)))
    assert shown["prediction"].shape == shown["target"].shape
    assert torch.equal(shown["mask"], mask.unsqueeze(-1).expand(-1, -1, 4))


def test_another_encoder_is_refused() -> None:
    encoder = new_encoder(PatchTransformerConfig(d_model=16, head_size=8, n_layers=1), SPEC, 0)
    with pytest.raises(ConfigError, match="trains the tokenizer of encoder labram, not of patch_transformer"):
        Tokenizer(CONFIG, WindowBackbone(encoder, SPEC))
