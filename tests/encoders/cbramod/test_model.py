"""Details of CBraMod that the contract does not cover."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from contracts.encoder_cases import MONTAGES, make_batch, noise, selected, spec_of
from eegfm.batch import WindowBatch
from eegfm.encoders.cbramod.model import Cbramod, SpectrumEmbedding, key_masks
from eegfm.encoders.config import CbramodConfig
from eegfm.encoders.load import new_encoder
from eegfm.normalizations.config import FixedScaleConfig
from masked_tokens import with_key_mask

SMALL = {"n_maps": 5, "n_heads": 4, "n_layers": 2, "d_feed_forward": 80}


def build(**choices: Any) -> Cbramod:
    encoder = new_encoder(
        CbramodConfig.model_validate({**SMALL, **choices}), spec_of([MONTAGES[19], MONTAGES[21]], 4), seed=0
    )
    assert isinstance(encoder, Cbramod)
    return encoder.eval()


def test_it_has_the_published_parameters() -> None:
    """The paper says 4.0 M, the published code holds 4.88 M, and 4.92 M with the projection that reconstructs."""
    with torch.device("meta"):
        encoder = CbramodConfig().build(spec_of([MONTAGES[19]], 4))
    n_parameters = sum(p.numel() for p in encoder.parameters())
    in_patches = 25 * 49 + 2 * 25 * 25 * 3 + 9 * 25 + 101 * 200 + 200 + 200 * 19 * 7 + 200
    in_layers = 12 * (2 * (4 * 100 * 100 + 4 * 100) + 2 * 200 * 800 + 1000 + 4 * 200)
    assert n_parameters == in_patches + in_layers == 4_883_600
    assert 4.0e6 < n_parameters < n_parameters + 200 * 200 + 200 < 5.0e6


@pytest.mark.parametrize("n_samples", [200, 125])
def test_magnitudes_equal_numpy(n_samples: int) -> None:
    patches = noise((3, 7, n_samples), 0)
    expected = np.abs(np.fft.rfft(patches.double().numpy())) / n_samples
    magnitudes = SpectrumEmbedding(n_samples, 8).magnitudes(patches)
    np.testing.assert_allclose(magnitudes.numpy(), expected, atol=1e-6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(SpectrumEmbedding(n_samples, 8).magnitudes(patches), magnitudes)


def test_the_matrix_of_the_spectrum_is_in_no_checkpoint() -> None:
    assert not any("fourier" in name for name in build().state_dict())


def test_content_is_patch_plus_spectrum() -> None:
    encoder, batch = build(), make_batch(n_windows=1)
    patches = batch["signal"].view(1, -1, 200)
    maps = encoder.patch_embedding(patches, None)
    tokens = encoder.tokenize(batch)
    spectrum = encoder.spectrum_embedding(patches)
    assert torch.equal((tokens.content - spectrum)[0, 3].view(5, 8).argmax(), maps[0, 3].argmax())
    torch.testing.assert_close(tokens.content, maps.flatten(2) + spectrum)
    assert not tokens.position.any()


def test_positions_are_a_convolution_of_9_channels_and_3_patches_around() -> None:
    """With layers switched off, a token reaches as far as the kernel."""
    encoder, batch = build(n_layers=1), make_batch(n_windows=1)
    encoder.layers = torch.nn.ModuleList()
    tokens = encoder.tokenize(batch)
    moved = tokens.content.clone()
    moved[0, 9 * 4 + 0] += 1.0  # channel 9, patch 0
    changed = (encoder.encode(tokens.with_content(moved)) - encoder.encode(tokens)).abs().amax(-1).view(19, 4) > 0
    assert changed[:, :].all(), "nine channels on either side, three patches ahead"
    moved = tokens.content.clone()
    moved[0, 0] += 1.0
    changed = (encoder.encode(tokens.with_content(moved)) - encoder.encode(tokens)).abs().amax(-1).view(19, 4) > 0
    assert changed.any(dim=1).nonzero().flatten().tolist() == list(range(10))
    kernel = encoder.position_embedding.weight[:, 0]
    grid = tokens.content.view(19, 4, -1)
    expected = grid[2, 1] + encoder.position_embedding.bias
    for c in range(max(0, 2 - 9), 12):
        for p in range(4):
            expected = expected + kernel[:, c - 2 + 9, p - 1 + 3] * grid[c, p]
    torch.testing.assert_close(encoder.encode(tokens)[0, 2 * 4 + 1], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("patch_norm", ["patch", "window"])
def test_padding_at_the_end_is_as_if_absent(patch_norm: str) -> None:
    encoder, batch = build(patch_norm=patch_norm), make_batch()
    mask = torch.arange(19).expand(2, -1) < 14
    loud = batch["signal"].masked_fill(~mask.unsqueeze(-1), 1e3)
    padded: WindowBatch = {**batch, "signal": loud, "channel_mask": mask}
    alone, _ = selected(batch, torch.arange(14))
    expected = encoder({**alone, "montage": batch["montage"]}).view(2, 14, 4, -1)
    found = encoder(padded).view(2, 19, 4, -1)[:, :14]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_absent_tokens_change_no_other() -> None:
    """Any tokens, whole channels and whole patches among them."""
    encoder, batch = build(), make_batch()
    masked = torch.zeros(2, 19, 4, dtype=torch.bool)
    masked[0, 3], masked[0, :, 2], masked[1, 5:9, 1] = True, True, True
    seen = ~masked.flatten(1)
    tokens = with_key_mask(encoder.tokenize(batch), seen)
    other = replace(tokens, content=torch.where(seen.unsqueeze(-1), tokens.content, 7.0))
    assert torch.equal(encoder.encode(tokens)[seen], encoder.encode(other)[seen])
    assert torch.isfinite(encoder.encode(tokens)).all()
    assert not torch.equal(encoder.encode(tokens), encoder.encode(replace(tokens, key_mask=None)))


def test_key_masks_let_everyone_see_himself() -> None:
    mask = torch.tensor([[True, False, True, False, True, False]])  # 3 channels, 2 patches: the second is masked
    across_channels, across_time = key_masks(mask, 3, 2)
    assert across_channels is not None
    assert across_time is not None
    assert across_channels[0, 0].all()
    assert torch.equal(across_channels[1, 0], torch.eye(3, dtype=torch.bool))
    assert across_time[2, 0].tolist() == [[True, False], [True, True]]
    assert key_masks(None, 3, 2) == (None, None)


def test_a_mask_token_is_convolved() -> None:
    """An objective replaces content before ``encode``: neighbours then get their place from the replacement."""
    encoder, batch = build(), make_batch()
    encoder.layers = torch.nn.ModuleList()
    tokens = encoder.tokenize(batch)
    replaced = tokens.content.clone()
    replaced[:, 0] = 0.0
    assert not torch.equal(encoder.encode(tokens.with_content(replaced))[:, 1], encoder.encode(tokens)[:, 1])


def test_dropout_is_for_training() -> None:
    encoder, batch = build(dropout_ratio=0.5), make_batch()
    assert torch.equal(encoder(batch), encoder(batch))
    encoder.train()
    torch.manual_seed(0)
    assert not torch.equal(encoder.tokenize(batch).content, encoder.tokenize(batch).content)
    assert not torch.equal(encoder(batch), encoder(batch))


def test_weights_start_as_published() -> None:
    encoder = new_encoder(CbramodConfig(n_layers=1), spec_of([MONTAGES[19]], 4), 0).requires_grad_(False)
    layer = encoder.layers[0]
    assert float(layer.enter.weight.std()) == pytest.approx((2 / 800) ** 0.5, rel=0.02)
    assert float(layer.leave.weight.std()) == pytest.approx((2 / 200) ** 0.5, rel=0.02)
    limit = (6 / (100 + 300)) ** 0.5
    assert limit * 0.99 < float(layer.across_time.query_key_value.weight.abs().max()) < limit


def test_microvolts_are_divided_by_100() -> None:
    normalization = CbramodConfig.default_normalization
    assert normalization == FixedScaleConfig(scale_uv=100.0, clip=None)
    assert CbramodConfig.published_normalization is None, "training and import take the same"


@pytest.mark.parametrize(
    ("choices", "message"),
    [({"n_maps": 24}, "multiple of 5"), ({"n_heads": 5}, "n_heads 5 is odd"), ({"n_heads": 6}, "the width 200")],
)
def test_sizes_that_do_not_fit_are_refused(choices: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CbramodConfig.model_validate(choices)
