"""FEMBA: sizes, layout and what it is tied to. What it shares with all encoders is under contract."""

import pytest
import torch
from torch.nn.functional import conv2d, conv_transpose2d

from backbones import normalized
from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.config import EegnetConfig, FembaConfig
from eegfm.encoders.femba.model import Femba, FembaDecoder
from eegfm.encoders.load import new_encoder
from eegfm.errors import ConfigError
from eegfm.heads.base import HeadSpec
from eegfm.heads.config import FembaHeadConfig
from eegfm.normalizations.config import FixedScaleConfig
from eegfm.recording import Montage
from eegfm.targets import TargetSpec
from eegfm.training.optimizers.groups import decaying_parameters
from masked_tokens import with_key_mask


def montage(n_channels: int, first: str = "c") -> Montage:
    places = tuple((0.01 * k, 0.0, 0.09) for k in range(n_channels))
    return Montage(tuple(f"{first}{k}" for k in range(n_channels)), places, (True,) * n_channels, "average")


def build(n_channels: int = 5, n_samples: int = 64, **choices: object) -> Femba:
    config = FembaConfig.model_validate({"d_token": 6, "n_layers": 2, **choices})
    encoder = new_encoder(config, SignalSpec(256.0, {"m": montage(n_channels)}, {"m": n_samples}), seed=0)
    assert isinstance(encoder, Femba)
    return encoder.eval()


def batch(n_channels: int = 5, n_samples: int = 64, n_windows: int = 2, seed: int = 0) -> WindowBatch:
    signal = torch.randn(n_windows, n_channels, n_samples, generator=torch.Generator().manual_seed(seed))
    return {
        "signal": signal,
        "channel_positions": torch.zeros(n_windows, n_channels, 3),
        "channel_mask": torch.ones(n_windows, n_channels, dtype=torch.bool),
        "reference": "average",
        "recording": torch.zeros(n_windows, dtype=torch.int64),
        "corpus": "c",
        "montage": "m",
    }


def n_parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("size", "published", "with_head"),
    [("tiny", 7.8e6, False), ("base", 47.7e6, True), ("large", 77.8e6, True), ("huge", 386e6, True)],
)
def test_published_sizes(size: str, published: float, with_head: bool) -> None:
    """22 channels x 1280 samples; the published count of the smallest is that without a classification head."""
    with torch.device("meta"):
        spec = SignalSpec(256.0, {"tcp": montage(22)}, {"tcp": 1280})
        encoder = FembaConfig.model_validate({"size": size}).build(spec)
        head = FembaHeadConfig().build(HeadSpec(encoder.d_model, 1, 80, TargetSpec.of_classes(("no", "yes"))))
    n = n_parameters(encoder) + with_head * n_parameters(head)
    assert abs(n / published - 1) < 0.02
    assert n_parameters(head) == pytest.approx(0.6e6, rel=0.11)


def test_a_size_gives_way_to_what_is_named() -> None:
    config = FembaConfig.model_validate({"size": "huge", "n_layers": 3})
    assert (config.d_token, config.n_layers) == (79, 3)
    assert FembaConfig() == FembaConfig.model_validate(FembaConfig().model_dump())


def test_the_shapes_of_the_publication() -> None:
    encoder = build(22, 1280, d_token=3, n_layers=1)
    tokens = encoder.tokenize(batch(22, 1280))
    assert tokens.content.shape == (2, 11 * 80, 3)
    assert tokens.position.shape == (1, 11 * 80, 3)
    assert encoder(batch(22, 1280)).shape == (2, 80, 33)


def test_tokens_are_a_convolution_over_channels_and_time() -> None:
    """In the order of arXiv 2502.06438's code: the width of a vector is embedding first, row second."""
    encoder = build(6)
    signal = batch(6)["signal"]
    kernel = encoder.patch_embedding.weight.view(6, 1, 2, 16)
    grid = conv2d(signal.unsqueeze(1), kernel, encoder.patch_embedding.bias, stride=(2, 16))
    vectors = grid.reshape(2, 18, 4).transpose(1, 2)
    torch.nn.init.normal_(encoder.position_embedding)
    seen = []
    encoder.layers[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    encoder(batch(6))
    torch.testing.assert_close(seen[0], vectors + encoder.position_embedding, atol=1e-5, rtol=1e-5)


def test_a_layer_reads_time_both_ways() -> None:
    layer = build().layers[0]
    x = torch.randn(2, 9, 18, generator=torch.Generator().manual_seed(0))
    backward = torch.stack([layer.backward_block(x[:, list(range(8, -1, -1))])[:, 8 - t] for t in range(9)], 1)
    expected = layer.norm(x + layer.forward_block(x) + backward)
    torch.testing.assert_close(layer(x), expected)
    changed = x.clone()
    changed[:, 4] += 1.0
    assert ((layer(changed) - layer(x)).abs().amax(dim=(0, 2)) > 1e-7).all()


def test_each_token_holds_two_channels_of_one_patch() -> None:
    encoder = build(6)
    before, changed = batch(6), batch(6)
    changed["signal"][:, 3, 16:32] += 0.3
    difference = (encoder.tokenize(before).content - encoder.tokenize(changed).content).abs().amax(dim=(0, 2))
    assert difference.nonzero().flatten().tolist() == [1 * 4 + 1]


def test_an_odd_channel_shares_its_token_with_nothing() -> None:
    encoder = build(5)
    windows = batch(5)
    patches = encoder.token_patches(windows)
    assert patches.shape == (2, 12, 2, 16)
    assert torch.equal(patches[:, 8:, 0].flatten(1), windows["signal"][:, 4])
    assert not patches[:, 8:, 1].any()
    assert encoder.row_mask(windows) is None
    mask = encoder.group_mask(windows)
    assert mask is not None
    assert mask.tolist() == [[[True, True], [True, True], [True, False]]] * 2
    # The weights of the missing channel are multiplied by nothing.
    content = encoder.tokenize(windows).content
    with torch.no_grad():
        encoder.patch_embedding.weight[:, 16:] *= 3.0
    changed = (encoder.tokenize(windows).content - content).abs().amax(dim=(0, 2)) > 0
    assert changed.tolist() == [True] * 8 + [False] * 4


def test_masks_of_rows_and_groups() -> None:
    encoder, windows = build(5), batch(5)
    assert build(6).group_mask(batch(6)) is None
    windows["channel_mask"][:, 1:5] = False
    rows, groups = encoder.row_mask(windows), encoder.group_mask(windows)
    assert rows is not None
    assert groups is not None
    assert rows.tolist() == [[True, False, False]] * 2
    assert groups.tolist() == [[[True, False], [False, False], [False, False]]] * 2
    # One mask for all windows, spread over the batch without memory of its own, as prepared batches carry it.
    windows["channel_mask"] = torch.ones(1, 1, dtype=torch.bool).expand(2, 5)
    assert encoder.row_mask(windows) is None
    groups = encoder.group_mask(windows)
    assert groups is not None
    assert groups.tolist() == [[[True, True], [True, True], [True, False]]] * 2


def test_padding_changes_nothing() -> None:
    encoder, windows = build(5), batch(5)
    windows["channel_mask"][:, [1, 2, 3]] = False
    expected = encoder(windows)
    windows["signal"][:, [1, 2, 3]] = torch.nan
    assert torch.equal(encoder(windows), expected)
    windows["channel_mask"][:] = True
    assert not torch.equal(encoder({**windows, "signal": batch(5)["signal"]}), expected)


def test_absent_tokens_are_not_seen() -> None:
    encoder = build(6)
    tokens = encoder.tokenize(batch(6))
    hidden = torch.zeros(2, 12, dtype=torch.bool)
    hidden[0, 5], hidden[1, 2:4] = True, True
    changed = tokens.with_content(tokens.content + 3.0 * hidden.unsqueeze(-1))
    expected = encoder.encode(with_key_mask(tokens, ~hidden))
    assert torch.equal(encoder.encode(with_key_mask(changed, ~hidden)), expected)
    assert not torch.equal(encoder.encode(changed), encoder.encode(tokens))


def test_microvolts_are_scaled_by_two_constants() -> None:
    """The public code calls -20 and 20 uV quartiles; they become 0 and 1."""
    windows: WindowBatch = {**batch(), "signal": torch.tensor([-20.0, 20.0, 60.0, -1e4]).repeat(2, 5, 16)}
    found = normalized(windows, build())["signal"]
    assert found[0, 0, :4].tolist() == pytest.approx([0.0, 1.0, 2.0, -249.5])
    assert FembaConfig.default_normalization == FixedScaleConfig(scale_uv=40.0, offset_uv=-20.0, clip=None)


def test_it_is_tied_to_its_channels_and_length() -> None:
    encoder = build()
    with pytest.raises(ConfigError, match=r"encoder femba was built for 5 channels.*m have 6.*adapter"):
        encoder(batch(6))
    with pytest.raises(ConfigError, match=r"encoder femba was built for windows of 0\.25 s.*last 0\.5 s.*length_s"):
        encoder(batch(5, 128))
    two = {"a": montage(5), "b": montage(4)}
    with pytest.raises(ConfigError, match=r"tied to the channels of one montage.*adapter"):
        FembaConfig().build(SignalSpec(256.0, two, {"a": 64, "b": 64}))
    same = {"a": montage(5), "b": montage(5)}
    with pytest.raises(ConfigError, match=r"tied to one window length"):
        FembaConfig().build(SignalSpec(256.0, same, {"a": 64, "b": 128}))
    assert FembaConfig().build(SignalSpec(256.0, same, {"a": 64, "b": 64})).d_model == 3 * 35
    for config in (FembaConfig(), EegnetConfig()):
        with pytest.raises(ConfigError, match=r"a \(5 channels\), b \(4 .*several: 0\.25 s, 0\.5 s; .*or choose"):
            config.build(SignalSpec(256.0, two, {"a": 64, "b": 128}))


def test_missing_kernels_are_named_before_anything_runs() -> None:
    with pytest.raises(ConfigError, match=r"encoder\.scan is mamba_ssm"):
        build(scan="mamba_ssm")


def test_positions_are_not_decayed() -> None:
    encoder = build()
    decaying = decaying_parameters(encoder)
    exempt = {id(p) for p in encoder.parameters()} - {id(p) for p in decaying}
    assert id(encoder.position_embedding) in exempt
    assert all(id(layer.forward_block.decay_log) in exempt for layer in encoder.layers)
    assert {p.ndim for p in decaying} == {2, 3}


def test_the_decoder_is_a_transposed_convolution() -> None:
    encoder = build(6)
    decoder = encoder.new_decoder(2 * 16)
    assert isinstance(decoder, FembaDecoder)
    norm, projection = decoder.linear.network
    torch.nn.init.zeros_(projection.bias)
    tokens, encoded = encoder.tokenize(batch(6)), encoder(batch(6))
    grid = norm(encoded.transpose(1, 2).reshape(2, 6, 3, 4).movedim(1, 3)).movedim(3, 1)
    kernel = projection.weight.T.reshape(6, 1, 2, 16)
    signal = conv_transpose2d(grid, kernel, stride=(2, 16)).squeeze(1)
    expected = encoder.token_patches({**batch(6), "signal": signal}).flatten(2)
    index = torch.tensor([[0, 5, 11], [1, 2, 7]])
    found = decoder(encoded, tokens, index)
    torch.testing.assert_close(found, expected.take_along_dim(index.unsqueeze(-1), 1), atol=1e-5, rtol=1e-5)
