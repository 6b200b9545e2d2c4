"""Details of the patch transformer that the contract does not cover."""

import itertools

import pytest
import torch

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.config import PatchTransformerConfig
from eegfm.encoders.load import new_encoder
from eegfm.encoders.patch_transformer.model import PatchTransformer
from eegfm.encoders.tokens import Visible, take
from eegfm.errors import ConfigError
from eegfm.nn.rereference import all_real
from eegfm.recording import Montage
from masked_tokens import with_key_mask

MONTAGE = Montage(
    tuple("abcd"),
    ((0.0, 0.09, 0.0), (0.09, 0.0, 0.0), (0.0, -0.09, 0.0), (-0.09, 0.0, 0.0)),
    (True,) * 4,
    "average",
)
ATTENTIONS = ("full", "alternating", "criss_cross")


def build(**choices: object) -> PatchTransformer:
    config = PatchTransformerConfig(**{"d_model": 32, "head_size": 16, **choices})
    encoder = new_encoder(config, SignalSpec(100.0, {"m": MONTAGE}, {"m": 300}), seed=0)
    assert isinstance(encoder, PatchTransformer)
    return encoder.eval()


def batch(signal: torch.Tensor) -> WindowBatch:
    return {
        "signal": signal,
        "signal_uv": 30 * signal,
        "channel_positions": torch.from_numpy(MONTAGE.positions()).expand(len(signal), -1, -1),
        "channel_mask": torch.ones(signal.shape[:2], dtype=torch.bool),
        "reference": "average",
        "recording": torch.zeros(len(signal), dtype=torch.int64),
        "corpus": "c",
        "montage": "m",
    }


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_alternating_layers_take_turns() -> None:
    """The first layer spreads a change over the channels of its patch, the second over time."""
    signal = noise(1, 4, 300)
    changed = signal.clone()
    changed[0, 1, 100:200] += 1.0  # channel 1, patch 1
    reached = []
    for n_layers in (1, 2):
        encoder = build(n_layers=n_layers)
        difference = (encoder(batch(signal)) - encoder(batch(changed))).abs().amax(dim=-1).view(4, 3)
        reached.append(difference > 1e-6)
    assert reached[0].tolist() == [[False, True, False]] * 4
    assert reached[1].all()


@pytest.mark.parametrize(("attention", "n_layers", "expected"), [
    ("criss_cross", 1, [[False, True, False], [True, True, True], [False, True, False], [False, True, False]]),
    ("criss_cross", 2, [[True] * 3] * 4),
    ("full", 1, [[True] * 3] * 4),
])  # fmt: skip
def test_how_far_a_change_reaches(attention: str, n_layers: int, expected: list[list[bool]]) -> None:
    signal = noise(1, 4, 300)
    changed = signal.clone()
    changed[0, 1, 100:200] += 30.0
    encoder = build(n_layers=n_layers, attention=attention)
    difference = (encoder(batch(signal)) - encoder(batch(changed))).abs().amax(dim=-1).view(4, 3)
    assert (difference > 1e-6).tolist() == expected


def visible_sets(n_windows: int, n_rows: int, n_patches: int) -> dict[str, Visible]:
    """Different tokens in each window; the free set leaves whole rows and patches out."""
    generator = torch.Generator().manual_seed(3)

    def some(n: int, k: int) -> torch.Tensor:
        return torch.rand(n_windows, n, generator=generator).argsort(dim=1)[:, :k].sort(dim=1).values

    free = some(n_rows * n_patches, 5)
    free[0] = torch.arange(5)  # a row and a part of the next
    return {"grid": Visible.grid(some(n_rows, 3), some(n_patches, 2), n_patches), "free": Visible(free)}


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("kind", ["grid", "free"])
@pytest.mark.parametrize(("n_registers", "is_padded"), [(0, False), (2, False), (0, True), (2, True)])
def test_a_visible_subset_is_as_if_the_rest_were_absent(
    attention: str, kind: str, n_registers: int, is_padded: bool
) -> None:
    encoder = build(attention=attention, n_registers=n_registers, n_layers=3)
    windows = batch(noise(3, 4, 300))
    if is_padded:
        windows["channel_mask"][:, 2] = False
    tokens = encoder.tokenize(windows)
    visible = visible_sets(3, 4, 3)[kind]
    found = encoder.encode(tokens, visible)
    masking = with_key_mask(tokens, visible.mask(12))
    expected = take(encoder.encode(masking), visible.index)
    real = torch.ones(found.shape[:2], dtype=torch.bool)
    if is_padded:  # what comes out for padding is nobody's
        assert tokens.key_mask is not None
        real = tokens.key_mask.take_along_dim(visible.index, dim=1)
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found[real], expected[real], atol=2e-5, rtol=2e-5)
    unhidden = take(encoder.encode(tokens), visible.index)
    assert (unhidden - found)[real].abs().max() > 1e-3


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("kind", ["grid", "free"])
def test_gradients_of_a_visible_subset_are_finite(attention: str, kind: str) -> None:
    encoder = build(attention=attention, n_registers=1).train()
    windows = batch(noise(3, 4, 300))
    windows["channel_mask"][:, 1] = False
    out = encoder.encode(encoder.tokenize(windows), visible_sets(3, 4, 3)[kind])
    out.square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize(("attention", "kind"), [("full", "free"), ("full", "grid"), ("alternating", "grid")])
def test_tokens_left_out_are_not_computed(attention: str, kind: str) -> None:
    encoder, seen = build(attention=attention), []
    encoder.layers[0].register_forward_hook(lambda module, args, out: seen.append(out.shape[1] * out.shape[2]))
    visible = visible_sets(3, 4, 3)[kind]
    encoder.encode(encoder.tokenize(batch(noise(3, 4, 300))), visible)
    assert seen == [visible.index.shape[1]]


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_registers_change_and_leave_no_trace_in_shapes(attention: str) -> None:
    signal = batch(noise(2, 4, 300))
    with_registers, without = build(attention=attention, n_registers=2), build(attention=attention)
    assert with_registers(signal).shape == without(signal).shape
    missing, unexpected = with_registers.load_state_dict(without.state_dict(), strict=False)
    assert (missing, unexpected) == (["registers.weight"], [])
    assert (with_registers(signal) - without(signal)).abs().max() > 1e-3


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_the_register_summarises_real_channels(attention: str) -> None:
    encoder = build(attention=attention, n_registers=2, summary="register")
    signal = batch(noise(2, 4, 300))
    signal["channel_mask"][:, 3] = False
    features = encoder.features(signal)
    assert features.values.shape == (2, 1, 32)
    assert features.mask.tolist() == [[True], [True]]
    for channel, matters in ((0, True), (3, False)):
        other: WindowBatch = {**signal, "signal": signal["signal"].clone()}
        other["signal"][:, channel] += 50.0
        assert torch.equal(encoder.features(other).values, features.values) is not matters
    by_channel = build(attention=attention, n_registers=2).features(signal)
    assert by_channel.values.shape == (2, 4, 32)


def bipolar(signal: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> WindowBatch:
    size = len(signal)
    middle_m = ((first + second) / 2).expand(size, -1, -1)
    return {**batch(signal), "channel_positions": middle_m, "second_positions": second.expand(size, -1, -1)}


def test_a_derivation_is_where_its_electrodes_are() -> None:
    encoder = build()
    places = torch.from_numpy(MONTAGE.positions())
    first, second = places, places.roll(1, dims=0)
    signal = noise(2, 4, 300)
    position = encoder.tokenize(bipolar(signal, first, second)).position.view(4, 3, 32)
    embedded = encoder.electrode_embedding(places)
    expected = (embedded - embedded.roll(1, dims=0)).unsqueeze(1).expand(-1, 3, -1)
    torch.testing.assert_close(position, expected, atol=1e-5, rtol=1e-4)
    swapped = encoder.tokenize(bipolar(signal, second, first)).position.view(4, 3, 32)
    torch.testing.assert_close(swapped, -position, atol=1e-5, rtol=1e-4)
    assert (encoder(bipolar(signal, first, second)) - encoder(bipolar(signal, second, first))).abs().max() > 1e-2


def test_derivations_have_no_order() -> None:
    encoder, order = build(), torch.tensor([2, 0, 3, 1])
    places = torch.from_numpy(MONTAGE.positions())
    signal = noise(2, 4, 300)
    out = encoder(bipolar(signal, places, places.roll(1, dims=0))).view(2, 4, 3, 32)
    permuted = encoder(bipolar(signal[:, order], places[order], places.roll(1, dims=0)[order]))
    torch.testing.assert_close(permuted.view(2, 4, 3, 32), out[:, order], atol=1e-5, rtol=1e-4)


def test_places_jitter_per_window_and_only_while_training() -> None:
    encoder, signal = build(position_jitter_m=0.02), batch(noise(3, 4, 300))
    assert torch.equal(encoder(signal), encoder(signal))
    assert len(encoder.tokenize(signal).position) == 1
    encoder.train()
    torch.manual_seed(0)
    position = encoder.tokenize(signal).position
    assert len(position) == 3
    assert not torch.equal(position[0], position[1])
    torch.manual_seed(0)
    assert torch.equal(encoder.tokenize(signal).position, position)
    assert len(build().train().tokenize(signal).position) == 1


def test_drop_path_rises_with_depth() -> None:
    ratios = [layer.drop_path_ratio for layer in build(n_layers=4, drop_path_ratio=0.2).layers]
    assert ratios == pytest.approx([0.05, 0.1, 0.15, 0.2])


def test_the_spectrum_is_of_microvolts() -> None:
    """Whatever the normalization: the content changes with them where the signal stays the same."""
    windows = batch(noise(1, 4, 300))
    louder: WindowBatch = {**windows, "signal_uv": 3 * windows["signal_uv"]}
    for spectrum_input in (False, True):
        tokenize = build(spectrum_input=spectrum_input).tokenize
        assert torch.equal(tokenize(windows).content, tokenize(louder).content) != spectrum_input


def test_the_spectrum_branch_changes_the_content() -> None:
    encoder = build(spectrum_input=True)
    assert encoder.spectrum_embedding is not None
    assert encoder.spectrum_embedding.in_features == 45
    content = encoder.tokenize(batch(noise(1, 4, 300))).content
    torch.nn.init.zeros_(encoder.spectrum_embedding.weight)
    assert not torch.equal(encoder.tokenize(batch(noise(1, 4, 300))).content, content)


def test_a_broken_patch_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"patch_s 0\.333 is 33\.3 samples.*nearest: 0\.33"):
        build(patch_s=0.333)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_the_sum_of_all_layers_is_kept_in_float32(precision: torch.dtype) -> None:
    """Under autocast too: layer after layer adds to it, and bfloat16 would lose small parts."""
    encoder, seen = build(), []
    for layer in encoder.layers:
        layer.register_forward_hook(lambda module, args, out: seen.append(out.dtype))
    with torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16):
        encoder(batch(noise(1, 4, 300)))
    assert seen == [torch.float32] * 4


def test_published_widths_are_options() -> None:
    signal = batch(noise(2, 4, 300))
    for head_size, attention in itertools.product((20, 40, 100), ATTENTIONS):
        if attention == "criss_cross" and 200 // head_size % 2:
            continue
        encoder = build(d_model=200, head_size=head_size, n_layers=2, attention=attention)
        assert encoder(signal).shape == (2, 12, 200)


def test_one_graph_without_breaks() -> None:
    unpadded: WindowBatch = {**batch(noise(2, 4, 300)), "channel_mask": all_real(2, 4, torch.device("cpu"))}
    explained = torch._dynamo.explain(build(n_registers=1))(unpadded)
    assert (explained.graph_count, explained.graph_break_count) == (1, 0)
