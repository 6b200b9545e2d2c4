"""Details of LUNA that the contract does not cover."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.utils.flop_counter import FlopCounterMode

from backbones import normalized
from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.config import LunaConfig
from eegfm.encoders.load import new_encoder
from eegfm.encoders.luna.decoder import LunaDecoder
from eegfm.encoders.luna.layers import CrossAttention, Layer, rotary_angles, rotate_pairs
from eegfm.encoders.luna.model import Luna
from eegfm.encoders.luna.patches import magnitude_and_phase, patch_convolutions, place_features, places_in_montage
from eegfm.encoders.tokens import Tokens
from eegfm.nn.patch_ops import fourier_matrix
from eegfm.normalizations.config import ZscoreConfig
from eegfm.recording import Montage
from masked_tokens import with_key_mask

N_CHANNELS = 6
PLACES = 0.1 * torch.randn(N_CHANNELS, 3, generator=torch.Generator().manual_seed(4))
MONTAGE = Montage(tuple("abcdef"), tuple((x, y, z) for x, y, z in PLACES.tolist()), (True,) * 6, "average")
SPEC = SignalSpec(200.0, {"m": MONTAGE}, {"m": 400})


def build(**choices: Any) -> Luna:
    config = LunaConfig(**{"n_queries": 2, "d_token": 32, "n_layers": 2, **choices})
    encoder = new_encoder(config, SPEC, seed=0)
    assert isinstance(encoder, Luna)
    return encoder.eval()


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def batch(n_windows: int = 2, n_samples: int = 400, places: torch.Tensor = PLACES, seed: int = 0) -> WindowBatch:
    n_channels = len(places)
    return {
        "signal": noise(n_windows, n_channels, n_samples, seed=seed),
        "channel_positions": places.expand(n_windows, -1, -1),
        "channel_mask": torch.ones(1, 1, dtype=torch.bool).expand(n_windows, n_channels),
        "reference": "average",
        "recording": torch.zeros(n_windows, dtype=torch.int64),
        "corpus": "c",
        "montage": "m",
    }


# Configuration and sizes


@pytest.mark.parametrize(
    ("size", "alone", "with_head"), [("base", 6.57, 7.1), ("large", 40.4, 43.1), ("huge", 303.4, 311.8)]
)
def test_published_sizes(size: Any, alone: float, with_head: float) -> None:
    """The paper's 7, 43 and 311 million count the head of two classes: attention, and a network of 4 x width."""
    with torch.device("meta"):
        encoder = LunaConfig(size=size).build(SPEC)
        D = encoder.d_model
        head = torch.nn.Sequential(
            torch.nn.MultiheadAttention(D, 2), torch.nn.Linear(D, 4 * D), torch.nn.Linear(4 * D, 2)
        )
    n = sum(p.numel() for p in encoder.parameters())
    n_head = sum(p.numel() for p in head.parameters()) + D
    assert n / 1e6 == pytest.approx(alone, abs=0.05)
    assert round((n + n_head) / 1e6, 1) == with_head


def test_a_size_names_what_is_not_given() -> None:
    config = LunaConfig(size="large", n_layers=3)
    assert (config.n_queries, config.d_token, config.n_layers) == (6, 96, 3)
    assert LunaConfig.model_validate(config.model_dump()) == config


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"d_token": 40}, r"d_token 40 is not a multiple of 16; nearest: \[32, 48\]"),
        ({"d_token": 8}, r"d_token 8 is not a multiple of 16; nearest: \[16\]"),
        ({"patch_samples": 50}, r"patch_samples 50 is not a multiple of 4; nearest: \[48, 52\]"),
        ({"size": "tiny"}, "base"),
        ({"drop_path_ratio": 1.0}, "drop_path_ratio"),
        ({"position_jitter": -0.1}, "position_jitter"),
    ],
)
def test_choices_that_cannot_work_are_refused(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LunaConfig(**choices)


@pytest.mark.parametrize("patch_samples", [4, 8, 20, 40, 100])
def test_any_patch_of_fours_becomes_one_token(patch_samples: int) -> None:
    encoder = build(patch_samples=patch_samples)
    assert encoder(batch()).shape == (2, 400 // patch_samples, 64)


# Normalization


def test_published_weights_take_standardised_windows() -> None:
    """The default keeps amplitudes and cuts artefacts; the published choice knows of none."""
    encoder, quiet = build(), {**batch(), "signal": 20 * batch()["signal"]}
    loud: WindowBatch = {**quiet, "signal": 3 * quiet["signal"]}
    assert (encoder(normalized(loud, encoder)) - encoder(normalized(quiet, encoder))).abs().max() > 1e-2
    published = LunaConfig.published_normalization
    assert published == ZscoreConfig(clip=None)
    found, again = (encoder(normalized(windows, encoder, published)) for windows in (quiet, loud))
    torch.testing.assert_close(found, again, atol=1e-3, rtol=1e-3)


# Content


@pytest.mark.parametrize("n_samples", [8, 20, 21, 40])
@pytest.mark.parametrize("offset", [-5.0, 0.0, 5.0])
def test_magnitude_and_phase_equal_the_fft(n_samples: int, offset: float) -> None:
    """Patches that are all negative have a negative mean, whose phase is pi and not -pi."""
    patches = noise(500, n_samples) + offset
    found = magnitude_and_phase(patches @ fourier_matrix(n_samples)).double().numpy()
    expected = np.fft.rfft(patches.double().numpy())
    magnitude, phase = np.split(found, 2, axis=-1)
    np.testing.assert_allclose(magnitude, np.abs(expected), atol=1e-5 * (1 + abs(offset)))
    turn = np.exp(1j * phase) - np.exp(1j * np.angle(expected))
    assert np.all(np.abs(turn) * np.abs(expected) < 5e-5)
    real = [0, n_samples // 2] if n_samples % 2 == 0 else [0]
    np.testing.assert_array_equal(phase[:, real], torch.fft.rfft(patches).angle()[:, real])


def test_where_there_is_no_amplitude_there_is_no_phase() -> None:
    patches = torch.stack((torch.zeros(40), 5 * torch.ones(40), torch.arange(40) % 2 - 0.5)).requires_grad_()
    features = magnitude_and_phase(patches @ fourier_matrix(40))
    magnitude, phase = features.chunk(2, dim=-1)
    assert torch.equal(features[0], torch.zeros(42))
    assert magnitude[1:].count_nonzero(dim=-1).tolist() == [1, 1]
    assert float(magnitude[1, 0].detach()) == pytest.approx(200)
    assert float(phase[2, 20].detach()) == pytest.approx(math.pi)
    features.sum().backward()
    assert torch.isfinite(patches.grad).all()
    assert torch.equal(patches.grad[0], torch.zeros(40))


def test_a_negative_zero_has_the_phase_of_zero() -> None:
    """Products of a negative signal with zeros may add up to it."""
    assert magnitude_and_phase(torch.tensor([-1.0, 1.0, -0.0, -0.0])).tolist() == [
        1.0,
        1.0,
        pytest.approx(math.pi),
        0.0,
    ]


def test_spectra_are_not_rounded_under_autocast() -> None:
    encoder = build()
    seen = []
    encoder.spectrum_embedding.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    patches = noise(1, 3, 40)
    encoder.spectrum_embedding(patches)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        encoder.spectrum_embedding(patches)
    assert torch.equal(seen[0], seen[1])


def test_groups_are_normalized_over_the_real_channels_of_one_window() -> None:
    embedding = patch_convolutions(40, 32, "window")
    patches = noise(2, 6, 40)
    mask = torch.tensor([[True] * 6, [True, False, True, False, False, True]])
    found = embedding(patches, mask)
    for b in range(2):
        expected = embedding(patches[b : b + 1, mask[b]], None)
        torch.testing.assert_close(found[b, mask[b]], expected[0], atol=1e-5, rtol=1e-5)
    assert torch.isfinite(embedding(patches, torch.zeros(2, 6, dtype=torch.bool))).all()


# Places


def test_place_features_equal_a_plain_loop() -> None:
    places = noise(2, 3, 3).double()
    found = place_features(places, 16)
    for b in range(2):
        for c in range(3):
            columns = [
                f(2**k * float(places[b, c, axis])) for k in (0, 1) for axis in range(3) for f in (math.sin, math.cos)
            ]
            np.testing.assert_allclose(found[b, c].numpy(), [*columns, 0, 0, 0, 0], atol=1e-12)


def test_places_run_from_0_to_1_over_the_real_channels() -> None:
    positions = torch.tensor([[[0.0, -0.1, 0.05], [0.1, 0.1, 0.05], [0.05, 0.0, 0.05], [9.0, 9.0, 9.0]]])
    mask = torch.tensor([[True, True, True, False]])
    expected = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]])
    torch.testing.assert_close(places_in_montage(positions, mask), expected)
    torch.testing.assert_close(places_in_montage(positions[:, :3], None), expected[:, :3])
    nothing_real = torch.zeros(1, 4, dtype=torch.bool)
    assert torch.equal(places_in_montage(positions, nothing_real), torch.zeros(1, 4, 3))


def test_each_windows_positions_reach_that_window_only() -> None:
    """The published code gives window 1's tokens the places of window 0 as soon as there is a second patch."""
    encoder, windows = build(), batch(n_windows=3)
    windows["channel_positions"] = PLACES + 0.03 * noise(3, N_CHANNELS, 3, seed=1)
    together = encoder(windows)
    for b in range(3):
        alone = {name: windows[name][b : b + 1] for name in ("signal", "channel_positions", "channel_mask")}
        torch.testing.assert_close(encoder({**windows, **alone})[0], together[b], atol=1e-5, rtol=1e-5)
    moved = windows["channel_positions"].clone()
    moved[1, 2] += 0.02
    changed = (encoder({**windows, "channel_positions": moved}) - together).abs().amax(dim=(1, 2))
    assert (changed > 1e-3).tolist() == [False, True, False]
    assert torch.equal(changed[[0, 2]], torch.zeros(2))


def test_channels_have_places_and_no_order() -> None:
    encoder, windows = build(), batch()
    out = encoder(windows)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    permuted: WindowBatch = {**windows, "signal": windows["signal"][:, order]}
    assert (encoder(permuted) - out).abs().max() > 1e-2
    permuted["channel_positions"] = windows["channel_positions"][:, order]
    torch.testing.assert_close(encoder(permuted), out, atol=1e-5, rtol=1e-5)


def test_positions_are_those_of_every_patch_of_their_channel() -> None:
    encoder = build()
    tokens = encoder.tokenize(batch())
    by_channel = tokens.position.view(N_CHANNELS, 10, 32)
    assert torch.equal(by_channel, by_channel[:, :1].expand_as(by_channel))
    assert (by_channel[1:, 0] - by_channel[:-1, 0]).abs().amax(dim=-1).min() > 1e-3


def test_jitter_moves_electrodes_while_training() -> None:
    still, restless = build(), build(position_jitter=0.02)
    windows = batch()
    windows["channel_positions"] = windows["channel_positions"][:1].expand(2, -1, -1)  # shared, as data bring them
    assert torch.equal(still(windows), restless(windows))
    torch.manual_seed(0)
    expected, found = (encoder.train().tokenize(windows) for encoder in (still, restless))
    assert torch.equal(found.content, expected.content)
    difference = (found.position - expected.position).view(2, N_CHANNELS, 10, 32)
    assert (difference.abs().amax(dim=-1) > 0).all()
    assert torch.equal(difference, difference[:, :, :1].expand_as(difference)), "an electrode moves as one"
    assert (difference[0] - difference[1]).abs().amax(dim=-1).min() > 0, "in each window on its own"


# Attention


def test_queries_answer_as_the_textbook_says() -> None:
    ours, theirs = CrossAttention(32), torch.nn.MultiheadAttention(32, 2, batch_first=True)
    with torch.no_grad():
        for k, part in enumerate((ours.query, ours.key, ours.value)):
            theirs.in_proj_weight[32 * k : 32 * (k + 1)] = part.weight
            theirs.in_proj_bias[32 * k : 32 * (k + 1)] = part.bias
        theirs.out_proj.load_state_dict(ours.projection.state_dict())
    queries, keys, values = noise(1, 4, 32), noise(3, 7, 32, seed=1), noise(3, 7, 32, seed=2)
    mask = noise(3, 7, seed=3) > -0.5
    for key_mask in (None, mask):
        padding = None if key_mask is None else ~key_mask
        expected = theirs(queries.expand(3, -1, -1), keys, values, key_padding_mask=padding, need_weights=False)[0]
        torch.testing.assert_close(ours(queries, keys, values, key_mask), expected, atol=1e-5, rtol=1e-5)


def test_a_query_layer_is_a_pre_norm_transformer_layer() -> None:
    ours = Layer(32, 2)
    theirs = torch.nn.TransformerEncoderLayer(
        32, 2, 128, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    names = {
        "attention_norm": "norm1",
        "query_key_value.": "self_attn.in_proj_",
        "projection": "self_attn.out_proj",
        "feed_forward_norm": "norm2",
        "feed_forward.enter": "linear1",
        "feed_forward.leave": "linear2",
    }
    state = {}
    for name, value in ours.state_dict().items():
        own = next(own for own in names if name.startswith(own))
        state[name.replace(own, names[own], 1)] = value + 0.1 * noise(*value.shape)
    theirs.load_state_dict(state)
    ours.load_state_dict(dict(zip(ours.state_dict(), state.values(), strict=True)))
    x = noise(3, 4, 32)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-5)


def test_rotary_products_depend_on_distance_alone() -> None:
    q, k = noise(2, 1, 16)
    angles = rotary_angles(20, 16, q.device)
    turned = [rotate_pairs(x.expand(20, -1), angles) for x in (q, k)]
    products = turned[0] @ turned[1].T
    for distance in range(5):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-4, rtol=1e-4)
    assert abs(float(products[0, 1] - products[0, 2])) > 1e-3


def test_queries_start_orthogonal() -> None:
    queries = build(n_queries=4).gather.queries
    torch.testing.assert_close(queries @ queries.T, torch.eye(4), atol=1e-6, rtol=0.0)


def test_branches_over_time_start_smaller_with_depth() -> None:
    layers = build(d_token=64, n_layers=4).time.layers
    for name in ("projection.weight", "feed_forward.leave.weight"):
        rows, columns = layers[0].get_parameter(name).shape
        for depth, layer in enumerate(layers, start=1):
            expected = math.sqrt(2 / (rows + columns) / (2 * depth))
            assert float(layer.get_parameter(name).detach().std()) == pytest.approx(expected, rel=0.05)


def test_absent_tokens_are_not_seen_and_absence_of_all_of_a_patch_stays_finite() -> None:
    encoder, windows = build(), batch()
    tokens = encoder.tokenize(windows)
    mask = torch.ones(2, N_CHANNELS, 10, dtype=torch.bool)
    mask[0, :, 3] = False  # a whole patch
    mask[1, 1:4, 5:] = False
    hiding = with_key_mask(tokens, mask.flatten(1))
    found = encoder.encode(hiding)
    loud = torch.where(mask.flatten(1).unsqueeze(-1), tokens.content, 100 * noise(*tokens.content.shape))
    assert torch.equal(encoder.encode(hiding.with_content(loud)), found)
    assert torch.isfinite(found).all()
    content = tokens.content.detach().requires_grad_()
    encoder.encode(hiding.with_content(content)).square().sum().backward()
    assert torch.isfinite(content.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in encoder.gather.parameters())
    is_reached = content.grad.abs().amax(dim=-1).view(2, N_CHANNELS, 10) > 0
    assert torch.equal(is_reached, mask)


def test_no_kernel_is_asked_for_a_softmax_over_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some kernels return zero there, others no number."""

    def textbook(
        q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, attn_mask: torch.Tensor | None = None, dropout_p: float = 0.0
    ) -> torch.Tensor:
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        scores = scores if attn_mask is None else scores.masked_fill(~attn_mask, -math.inf)
        return scores.softmax(dim=-1) @ v

    attention = CrossAttention(32)
    arguments = (
        noise(1, 4, 32),
        noise(2, 5, 32),
        noise(2, 5, 32),
        torch.tensor([[False] * 5, [True, False] * 2 + [True]]),
    )
    expected = attention(*arguments)
    monkeypatch.setattr("eegfm.encoders.luna.layers.scaled_dot_product_attention", textbook)
    found = attention(*arguments)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found[0], attention.projection.bias.expand(4, -1))
    found.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in attention.parameters())


def test_padding_is_as_if_it_were_not_there() -> None:
    encoder, windows = build(), batch()
    real = torch.tensor([True, False, True, True, False, True])
    padded: WindowBatch = {**windows, "channel_mask": real.expand(2, -1).clone()}
    alone = batch(places=PLACES[real])
    alone["signal"] = windows["signal"][:, real]
    torch.testing.assert_close(encoder(padded), encoder(alone), atol=1e-5, rtol=1e-5)


def test_nothing_is_dropped_but_while_training() -> None:
    windows = batch()
    for choices in ({"dropout_ratio": 0.5}, {"dropout_ratio": 0.0, "drop_path_ratio": 0.5}):
        encoder = build(**choices)
        assert torch.equal(encoder(windows), encoder(windows))
        encoder.train()
        assert not torch.equal(encoder(windows), encoder(windows)), choices
    steady = build(dropout_ratio=0.0).train()
    assert torch.equal(steady(windows), steady(windows))


def test_a_branch_is_dropped_for_a_whole_window_and_keeps_its_mean() -> None:
    torch.manual_seed(0)
    layer = Layer(16, 2, drop_path_ratio=0.25).train()
    kept = layer._drop_path(torch.ones(4000, 3, 16))
    assert torch.equal(kept, kept[:, :1, :1].expand_as(kept))
    torch.testing.assert_close(kept.unique(), torch.tensor([0.0, 4 / 3]))
    assert float(kept.mean()) == pytest.approx(1.0, abs=0.03)


# Cost


def test_cost_is_linear_in_channels() -> None:
    encoder = LunaConfig().build(SPEC).eval()

    def flops(n_channels: int) -> int:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            encoder(batch(1, 400, noise(n_channels, 3)))
        return counter.get_total_flops()

    at_21, at_42, at_84 = flops(21), flops(42), flops(84)
    assert (at_84 - at_42) == pytest.approx(2 * (at_42 - at_21), rel=0.02)
    assert at_84 < 4 * at_21


# Decoder


def test_the_decoder_answers_for_the_tokens_asked_for() -> None:
    encoder = build()
    decoder = encoder.new_decoder(5).eval()
    tokens = encoder.tokenize(batch())
    encoded = encoder.encode(tokens)
    everywhere = torch.arange(60).expand(2, -1)
    answers = decoder(encoded, tokens, everywhere)
    assert answers.shape == (2, 60, 5)
    index = torch.tensor([[3, 17, 59], [0, 17, 30]])
    torch.testing.assert_close(decoder(encoded, tokens, index), answers.take_along_dim(index[..., None], dim=1))
    assert torch.equal(decoder(encoded, tokens.with_content(tokens.content * torch.nan), everywhere), answers)


def test_the_decoder_reads_the_patch_it_is_asked_for_at_the_place_it_is_asked_for() -> None:
    encoder = build()
    decoder = encoder.new_decoder(5).eval()
    tokens = encoder.tokenize(batch())
    encoded = encoder.encode(tokens)
    everywhere = torch.arange(60).expand(2, -1)

    def answers(vectors: torch.Tensor, asked: Tokens = tokens) -> torch.Tensor:
        predicted: torch.Tensor = decoder(vectors, asked, everywhere)
        return predicted.view(2, N_CHANNELS, 10, 5)

    before = answers(encoded)
    assert (before[:, 1:] - before[:, :-1]).abs().amax(dim=-1).min() > 1e-3, "channels differ by place"
    changed = encoded.clone()
    changed[1, 7] += 1.0
    is_changed = ((answers(changed) - before).abs().amax(dim=-1) > 0).nonzero().tolist()
    assert is_changed == [[1, c, 7] for c in range(N_CHANNELS)]


def test_the_decoder_is_a_decoder_layer_without_self_attention() -> None:
    encoder = build()
    ours = encoder.new_decoder(5).eval()
    assert isinstance(ours, LunaDecoder)
    theirs = torch.nn.TransformerDecoderLayer(
        32, 2, 128, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    with torch.no_grad():
        theirs.self_attn.out_proj.weight.zero_()
        theirs.self_attn.out_proj.bias.zero_()
        for k, part in enumerate((ours.attention.query, ours.attention.key, ours.attention.value)):
            theirs.multihead_attn.in_proj_weight[32 * k : 32 * (k + 1)] = part.weight
            theirs.multihead_attn.in_proj_bias[32 * k : 32 * (k + 1)] = part.bias
    theirs.multihead_attn.out_proj.load_state_dict(ours.attention.projection.state_dict())
    theirs.linear1.load_state_dict(ours.feed_forward.enter.state_dict())
    theirs.linear2.load_state_dict(ours.feed_forward.leave.state_dict())
    tokens = encoder.tokenize(batch(1))
    encoded = encoder.encode(tokens)
    patch, asked = 3, 10 * torch.arange(N_CHANNELS).unsqueeze(0) + 3
    x = theirs(tokens.position[:, asked[0]], encoded[:, patch].view(1, 2, 32))
    expected = ours.network(ours.final_norm(x))
    torch.testing.assert_close(ours(encoded, tokens, asked), expected, atol=1e-5, rtol=1e-4)


def test_the_decoder_learns_which_channel_is_asked_for() -> None:
    """Each channel has a number of its own, and no token has any content: only places can tell."""
    encoder = build(n_layers=1, dropout_ratio=0.0)
    decoder = encoder.new_decoder(1)
    tokens = encoder.tokenize(batch(1))
    target = torch.linspace(-1, 1, N_CHANNELS).repeat_interleave(10).view(1, 60, 1)
    hidden = tokens.with_content(torch.zeros_like(tokens.content))
    asked = torch.arange(60).unsqueeze(0)
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=3e-3)
    encoded, still = encoder.encode(hidden).detach(), replace(hidden, position=hidden.position.detach())
    for _ in range(60):
        loss = (decoder(encoded, still, asked) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        assert all(torch.isfinite(p.grad).all() and p.grad.abs().max() > 0 for p in decoder.parameters())
        optimizer.step()
    assert float(loss.detach()) < 0.02 * float(target.square().mean())


def test_an_exported_program_takes_any_number_of_windows_and_channels() -> None:
    class Forward(torch.nn.Module):
        def __init__(self, encoder: Luna) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, signal: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
            mask = torch.ones(1, 1, dtype=torch.bool).expand(signal.shape[:2])
            windows: WindowBatch = {**batch(), "signal": signal, "channel_positions": positions, "channel_mask": mask}
            encoded: torch.Tensor = self.encoder(windows)
            return encoded

    forward = Forward(build(n_layers=1))
    sizes = {0: torch.export.Dim("windows"), 1: torch.export.Dim("channels")}
    example = (noise(2, 6, 80), noise(2, 6, 3))
    program = torch.export.export(forward, example, dynamic_shapes=(sizes, sizes), strict=False)
    other = (noise(3, 9, 80), noise(3, 9, 3))
    torch.testing.assert_close(program.module()(*other), forward(*other), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("hidden", [(), (0, 2), tuple(range(N_CHANNELS))])
def test_what_queries_look_at_is_what_they_gather_by(hidden: tuple[int, ...]) -> None:
    """The weights times the values, head by head, in float64; zero where nothing may be seen."""
    layer = CrossAttention(32).double()
    queries, keys = noise(1, 3, 32).double(), noise(5, N_CHANNELS, 32, seed=1).double()
    mask = torch.ones(5, N_CHANNELS, dtype=torch.bool)
    mask[1, list(hidden)] = False
    found = layer.weights(queries, keys, mask if hidden else None)
    q, k = layer.query(queries), layer.key(keys)
    expected = torch.zeros(5, 3, N_CHANNELS, dtype=torch.float64)
    for head in (slice(0, 16), slice(16, 32)):
        for s in range(5):
            seen = mask[s].nonzero()[:, 0]
            if len(seen):
                expected[s][:, seen] += (q[0, :, head] @ k[s, seen, head].T / 4).softmax(dim=-1) / 2
    torch.testing.assert_close(found, expected)


def test_attention_is_that_of_each_patch() -> None:
    encoder = build()
    tokens = encoder.tokenize(normalized(batch(), encoder))
    found = encoder.query_attention(tokens)
    assert found.shape == (2 * 10, 2, N_CHANNELS)
    torch.testing.assert_close(found.sum(dim=-1), torch.ones(20, 2))
