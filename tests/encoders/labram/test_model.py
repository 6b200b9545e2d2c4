"""Details of LaBraM that the contract does not cover."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, gelu, layer_norm

from contracts.encoder_cases import BY_NAME, MONTAGES, make_batch, noise, selected, spec_of
from eegfm.batch import SignalSpec
from eegfm.encoders.config import LabramConfig
from eegfm.encoders.conv_patches import ConvPatches
from eegfm.encoders.labram.model import Labram
from eegfm.encoders.labram.places import ELECTRODES, table_rows
from eegfm.encoders.labram.transformer import LabramLayer, LabramTransformer
from eegfm.encoders.load import new_encoder
from eegfm.encoders.tokens import Visible
from eegfm.errors import ConfigError
from eegfm.normalizations.config import FixedScaleConfig

SMALL = {"n_maps": 4, "n_heads": 5, "n_layers": 2, "layer_scale": 1.0}


def build(spec: SignalSpec | None = None, **choices: Any) -> Labram:
    config = LabramConfig.model_validate({**SMALL, **choices})
    encoder = new_encoder(config, spec or spec_of([MONTAGES[19], MONTAGES[64]], 4), seed=0)
    assert isinstance(encoder, Labram)
    return encoder.eval()


@pytest.mark.parametrize(("size", "published"), [("base", 5.8e6), ("large", 46e6), ("huge", 369e6)])
def test_sizes_have_the_published_parameters(size: str, published: float) -> None:
    """All weights of the encoder with its table of names; neither head nor mask token."""
    with torch.device("meta"):
        encoder = LabramConfig(size=size, channels="names").build(spec_of([MONTAGES[19]], 4))
    assert sum(p.numel() for p in encoder.parameters()) == pytest.approx(published, rel=0.02)


@pytest.mark.parametrize("is_tokenizer", [False, True])
def test_a_layer_equals_the_textbook(is_tokenizer: bool) -> None:
    """Attention written out head by head: with normed queries and keys, or with biases and without layer scale."""
    extra = {"qk_norm": False, "query_value_bias": True, "layer_scale": 0.0} if is_tokenizer else {"layer_scale": 0.3}
    layer = LabramLayer(LabramConfig(n_maps=4, n_heads=5, **extra), 1, 0.0).double().eval()
    for k, parameter in enumerate(layer.parameters()):
        parameter.data += 0.1 * noise(parameter.shape, k)
    x = noise((2, 7, 100), 0).double()
    mask = torch.ones(2, 1, 1, 7, dtype=torch.bool)
    mask[0, ..., 2:4] = False

    def normed(y: Tensor, norm: nn.Module) -> Tensor:
        assert isinstance(norm, nn.LayerNorm)
        centred = y - y.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt() * norm.weight + norm.bias

    y = normed(x, layer.attention_norm) @ layer.query_key_value.weight.T
    if is_tokenizer:
        y[..., :100] += layer.query_bias
        y[..., 200:] += layer.value_bias
    heads = []
    for h in range(5):
        q, k, v = (y[..., 100 * part + 20 * h : 100 * part + 20 * (h + 1)] for part in range(3))
        if not is_tokenizer:
            q, k = normed(q, layer.query_norm), normed(k, layer.key_norm)
        scores = (q @ k.transpose(1, 2) / math.sqrt(20)).masked_fill(~mask[:, 0], -math.inf)
        heads.append(scores.softmax(-1) @ v)
    y = torch.cat(heads, -1) @ layer.projection.weight.T + layer.projection.bias
    x1 = x + (y if is_tokenizer else y * layer.attention_scale)
    hidden = gelu(normed(x1, layer.feed_forward_norm) @ layer.enter.weight.T + layer.enter.bias)
    y = hidden @ layer.leave.weight.T + layer.leave.bias
    expected = x1 + (y if is_tokenizer else y * layer.feed_forward_scale)
    torch.testing.assert_close(layer(x, mask), expected)


@pytest.mark.parametrize("norm_over", ["patch", "window"])
def test_patches_equal_a_plain_loop(norm_over: str) -> None:
    """Patch by patch in float64; statistics over each patch, or over the real patches of each window."""
    patches = ConvPatches(n_maps=8, kernel=15, stride=8, n_groups=4, norm_over=norm_over).double()
    for k, parameter in enumerate(patches.parameters()):
        parameter.data += 0.3 * noise(parameter.shape, k)
    x = noise((2, 6, 200), 0).double()
    mask = torch.ones(2, 6, dtype=torch.bool)
    mask[1, 4:] = False
    expected = x.unsqueeze(2)  # (B, N, 1, S)
    for stage, (convolution, norm) in enumerate(zip(patches.convolutions, patches.norms, strict=True)):
        stride, padding = (8, 7) if stage == 0 else (1, 1)
        kernel = convolution.weight.squeeze(2)
        y = torch.stack([conv1d(w, kernel, convolution.bias, stride=stride, padding=padding) for w in expected])
        for b in range(2):
            pools = [[n] for n in range(6)] if norm_over == "patch" else [mask[b].nonzero().flatten().tolist()]
            for g in range(4):
                maps = slice(2 * g, 2 * g + 2)
                for pool in pools:
                    mean, var = y[b, pool, maps].mean(), y[b, pool, maps].var(unbiased=False)
                    y[b, pool, maps] = (y[b, pool, maps] - mean) / (var + 1e-5).sqrt()
        expected = gelu(y * norm.weight[:, None] + norm.bias[:, None])
    found = patches(x, mask)
    torch.testing.assert_close(found[mask], expected[mask])
    if norm_over == "patch":
        torch.testing.assert_close(patches(x, None), expected)


def test_content_lists_steps_before_maps() -> None:
    encoder, batch = build(), make_batch(n_windows=1)
    maps = encoder.patch_embedding(batch["signal"].view(1, -1, 200), None)
    assert torch.equal(encoder.tokenize(batch).content[0, 3].view(25, 4)[7], maps[0, 3, :, 7])


def test_the_table_holds_128_names() -> None:
    assert len(ELECTRODES) == len(set(ELECTRODES)) == 128
    assert table_rows(["Fp1", "FPZ", "cz", "T3", "T7", "t4", "T5", "T6", "ftt9h", "P8-O2"], "m") == [
        1, 2, 42, 89, 38, 91, 90, 92, 115, 128,
    ]  # fmt: skip
    for name in ("1020_19", "1020_21", "1010_64"):
        montage = MONTAGES[int(name.split("_")[1])]
        assert len(set(table_rows(montage.channel_names, name))) == montage.n_channels


def test_electrodes_without_a_name_in_the_table_are_refused() -> None:
    message = r"knows 128 channels.*not E1, E2, E3, E4, E5 and 123 more of montage m;.*1010_64.*channels: positions"
    with pytest.raises(ConfigError, match=message):
        build(SignalSpec(200.0, {"m": MONTAGES[129]}, {"m": 400}), channels="names")


def test_each_montage_has_its_own_rows() -> None:
    encoder = build(channels="names")
    for n_channels in (19, 64):
        batch = make_batch(n_channels)
        position = encoder.tokenize(batch).position.view(n_channels, 4, -1)
        for c, name in enumerate(MONTAGES[n_channels].channel_names):
            row = 1 + ELECTRODES.index(name.upper())
            place = encoder.places.channel_embedding[row] + encoder.places.time_embedding[:4]
            assert torch.equal(position[c], place)
    assert not any("rows" in name for name in encoder.state_dict())


def test_another_montage_than_those_looked_up_is_refused() -> None:
    encoder, batch = build(channels="names"), make_batch()
    with pytest.raises(ConfigError, match=r"looked up .*19ch.*, not of other;.*positions"):
        encoder({**batch, "montage": "other"})
    with pytest.raises(ConfigError, match="built for 19 channels"):
        encoder({**make_batch(64), "montage": batch["montage"]})


def test_a_permuted_montage_by_name_permutes_tokens() -> None:
    batch, order = make_batch(), torch.randperm(19, generator=torch.Generator().manual_seed(0))
    other, montage = selected(batch, order)
    encoder = build(spec_of([BY_NAME[batch["montage"]], montage], 4), channels="names")
    expected = encoder(batch).view(2, 19, 4, -1)[:, order]
    torch.testing.assert_close(encoder(other).view(2, 19, 4, -1), expected, atol=1e-4, rtol=1e-4)


def test_a_bipolar_derivation_is_the_difference_of_its_ends() -> None:
    encoder, batch = build(), make_batch()
    first, second = batch["channel_positions"], batch["channel_positions"].roll(1, dims=1)
    bipolar = {**batch, "channel_positions": (first + second) / 2, "second_positions": second}
    embed = encoder.places.electrode_embedding
    time = encoder.places.time_embedding[:4]
    expected = ((embed(first) - embed(second)).unsqueeze(2) + time).flatten(1, 2)
    torch.testing.assert_close(encoder.places(bipolar, 4), expected, atol=1e-5, rtol=1e-5)


def test_windows_longer_than_the_table_of_times_are_refused() -> None:
    spec = spec_of([MONTAGES[19]], 18)
    message = r"time embeddings for 16 patches \(16 s\).* have 18 \(18 s\); raise encoder.max_patches to 18"
    with pytest.raises(ConfigError, match=message):
        build(spec)
    assert build(spec, max_patches=18)(make_batch(duration_s=18)).shape == (2, 19 * 18, 100)
    with pytest.raises(ConfigError, match="max_patches to 18"):
        build()(make_batch(duration_s=18))
    build().check_length(16 * 200, "m")
    with pytest.raises(ConfigError, match=r"windows of montage m have 17 .*max_patches to 17"):
        build().check_length(17 * 200, "m")  # what is measured in a validation is asked so


def test_tokens_and_cls_see_each_other() -> None:
    encoder, batch = build(channels="names", summary="cls"), make_batch()
    before, features = encoder(batch), encoder.features(batch)
    assert features.values.shape == (2, 1, 100)
    assert features.mask.tolist() == [[True], [True]]
    other = {**batch, "signal": batch["signal"].clone()}
    other["signal"][0, 3] = 20 * noise((800,), 9)
    moved = (encoder.features(other).values - features.values).abs().amax(dim=(1, 2))
    assert moved[0] > 1e-3
    assert moved[1] == 0
    for parameter in (encoder.transformer.cls_token, encoder.places.channel_embedding):
        parameter.data[..., 0] += 1.0
    assert (encoder(batch) - before).abs().max() > 1e-3


def test_padding_among_visible_tokens_is_not_seen() -> None:
    encoder, batch = build(), make_batch()
    mask = torch.ones(2, 19, dtype=torch.bool)
    mask[:, 3:7] = False
    tokens = encoder.tokenize({**batch, "channel_mask": mask})
    visible = Visible(torch.arange(0, 76, 2).expand(2, -1))
    loud = torch.where(tokens.key_mask.unsqueeze(-1), tokens.content, 9.0)
    seen = tokens.key_mask[:, ::2]
    expected = encoder.encode(tokens, visible)[seen]
    assert torch.equal(encoder.encode(tokens.with_content(loud), visible)[seen], expected)


def test_the_cls_place_is_row_0() -> None:
    encoder, batch = build(channels="names"), make_batch()
    before = encoder(batch)
    encoder.places.channel_embedding.data[0] += noise((100,), 0)
    assert (encoder(batch) - before).abs().max() > 1e-3
    assert build().places.of_cls is None


def test_features_by_mean_are_one_row_per_channel() -> None:
    encoder, batch = build(), make_batch()
    values = encoder.features(batch).values
    torch.testing.assert_close(values, encoder(batch).view(2, 19, 4, -1).mean(dim=2))


def test_the_output_is_normed() -> None:
    encoder = build()
    torch.testing.assert_close(layer_norm(encoder(make_batch()), (100,), eps=1e-6), encoder(make_batch()))


def test_microvolts_are_divided_by_100() -> None:
    normalization = LabramConfig.default_normalization
    assert normalization == FixedScaleConfig(scale_uv=100.0, clip=None)
    assert LabramConfig.published_normalization is None, "training and import take the same"


def test_drop_path_skips_branches_of_later_layers_more_often() -> None:
    transformer = LabramTransformer(LabramConfig(**{**SMALL, "n_layers": 3}, drop_path_ratio=0.4))
    assert [layer.drop_path_ratio for layer in transformer.layers] == pytest.approx([0.0, 0.2, 0.4])
    layer = transformer.layers[2].train()
    torch.manual_seed(0)
    dropped = layer._branch(torch.ones(4000, 3, 2), None)
    assert torch.equal(dropped, dropped[:, :1, :1].expand_as(dropped)), "whole windows"
    assert float((dropped == 0).float().mean()) == pytest.approx(0.4, abs=0.03)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.05)
    assert torch.equal(layer.eval()._branch(torch.ones(4, 3, 2), None), torch.ones(4, 3, 2))


def test_deeper_layers_start_smaller() -> None:
    layers = LabramTransformer(LabramConfig(n_layers=8)).requires_grad_(False).layers
    for last in ("projection", "leave"):
        ratio = getattr(layers[7], last).weight.std() / getattr(layers[0], last).weight.std()
        assert float(ratio) == pytest.approx(8**-0.5, rel=0.05)
    assert float(layers[0].projection.weight.std()) == pytest.approx(0.02 / 2**0.5, rel=0.05)


@pytest.mark.parametrize(
    ("choices", "message"),
    [({"n_maps": 6}, "multiple of 4"), ({"n_heads": 7}, "does not divide the width 200"), ({"max_patches": 0}, "max")],
)
def test_sizes_that_do_not_fit_are_refused(choices: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LabramConfig.model_validate(choices)


def test_a_size_names_what_is_not_given() -> None:
    config = LabramConfig(size="large", n_layers=2)
    assert (config.d_model, config.n_heads, config.n_layers, config.layer_scale) == (400, 16, 2, 1e-5)
