"""Contract of every encoder. Each check raises an error if an encoder breaks one promise."""

import json

import pytest
import torch
from torch import Tensor

from contracts.encoder_cases import (
    LENGTHS_S,
    MONTAGES,
    RATE_HZ,
    Subject,
    make_batch,
    noise,
    selected,
    spec_of,
    with_signal,
)
from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.base import Encoder
from eegfm.encoders.tokens import Tokens, Visible, take
from eegfm.errors import ConfigError
from eegfm.normalizations.said import normalization_of
from eegfm.objectives.base_config import EncoderFacts
from masked_tokens import with_key_mask

SIZES = ((19, 2), (21, 4), (64, 6), (129, 2))
CLOSE, DIFFERENT = 2e-4, 1e-2


def deviation(found: Tensor, expected: Tensor) -> float:
    """Largest difference, over the root mean square of what is expected."""
    assert found.shape == expected.shape, (found.shape, expected.shape)
    assert torch.isfinite(found).all()
    return float((found - expected).abs().max() / expected.square().mean().sqrt())


def by_row(encoder: Encoder, batch: WindowBatch) -> Tensor:
    """(B, R, P, D) vectors; one row where the encoder does not tell channels apart."""
    tokens = encoder.tokenize(batch)
    encoded = encoder.encode(tokens)
    n_rows = tokens.n_rows if encoder.traits.output == "tokens" else 1
    return encoded.reshape(len(encoded), n_rows, -1, encoder.d_model)


def real_vectors(encoder: Encoder, batch: WindowBatch, rows: Tensor) -> Tensor:
    """Of channels (C,) bool that are real, or of all where the encoder does not tell channels apart."""
    vectors = by_row(encoder, batch)
    return vectors[:, rows] if encoder.traits.output == "tokens" else vectors


@torch.no_grad()
def shapes(subject: Subject) -> None:
    """Every number of channels, three lengths; the batch is left as it was."""
    sizes = [size for size in SIZES if size[0] in subject.case.channel_counts]
    for n_channels, duration_s in (*sizes, *((19, length_s) for length_s in LENGTHS_S[1:])):
        encoder = subject.encoder(n_channels, duration_s, is_default=True)
        batch = make_batch(n_channels, duration_s)
        before = batch["signal"].clone()
        tokens, encoded = encoder.tokenize(batch), encoder(batch)
        assert torch.equal(batch["signal"], before)
        assert torch.isfinite(encoded).all(), (n_channels, duration_s)
        assert encoded.shape == (2, _n_vectors(encoder, tokens), encoder.d_model), (n_channels, duration_s)
        if subject.traits.output != "window":
            _check_tokens(encoder, tokens, batch)


def _n_vectors(encoder: Encoder, tokens: Tokens) -> int:
    return {"tokens": tokens.n_rows * tokens.n_patches, "patches": tokens.n_patches, "window": 1}[encoder.traits.output]


def _check_tokens(encoder: Encoder, tokens: Tokens, batch: WindowBatch) -> None:
    B, C, T = batch["signal"].shape
    N = tokens.n_rows * tokens.n_patches
    assert tokens.n_patches * encoder.patch_samples == T
    assert tokens.n_rows == -(-C // encoder.channels_per_token)
    assert tokens.content.shape == (B, N, encoder.d_token)
    assert tokens.position.shape in {(1, N, encoder.d_token), (B, N, encoder.d_token)}
    assert tokens.key_mask is None, "without padding there is no mask: attention has faster kernels then"
    assert encoder.token_patches(batch).shape[:2] == (B, N)


def describes_itself(subject: Subject) -> None:
    """Traits, configuration and normalization, for objectives and headers."""
    encoder = subject.encoder(is_default=True)
    assert encoder.traits == subject.config.traits
    assert encoder.config == subject.config
    for normalization in filter(None, (encoder.config.default_normalization, encoder.config.published_normalization)):
        assert normalization_of(json.loads(normalization.model_dump_json())) == normalization
    assert encoder.rate_hz == RATE_HZ


@torch.no_grad()
def features(subject: Subject) -> None:
    """A probe gets one row per channel or one per window, and which rows are real."""
    encoder = subject.encoder()
    batch, real = _with_padding(make_batch())
    found = encoder.features(batch)
    values, mask = found.values, found.mask
    has_rows = EncoderFacts.of(subject.light).has_rows
    assert has_rows is encoder.has_rows
    n_rows = 19 if has_rows else 1
    assert values.shape[:2] == mask.shape == (2, n_rows)
    assert torch.isfinite(values).all()
    assert (mask == real).all() if n_rows > 1 else mask.all()
    for other, is_same in ((_noise_in_padding(batch), True), (make_batch(seed=5), False)):
        again = encoder.features(with_signal(batch, other["signal"])).values
        assert torch.equal(again[mask], values[mask]) == is_same


@torch.no_grad()
def refuses_what_it_is_not_made_for(subject: Subject) -> None:
    """A tied encoder refuses two montages, another number of channels, two lengths and another length."""
    traits = subject.traits
    if traits.one_montage:
        with pytest.raises(ConfigError, match=r"19.*21.*adapter"):
            subject.encoder_of(spec_of([MONTAGES[19], MONTAGES[21]], 4))
        with pytest.raises(ConfigError, match="adapter"):
            subject.encoder()(make_batch(21))
    if traits.one_length:
        two = {MONTAGES[19].name: 400, MONTAGES[21].name: 800}
        montages = dict(zip(two, (MONTAGES[19], MONTAGES[19 if traits.one_montage else 21]), strict=True))
        with pytest.raises(ConfigError, match="length_s"):
            subject.encoder_of(SignalSpec(RATE_HZ, montages, two))
        with pytest.raises(ConfigError, match="4 s"):
            subject.encoder()(make_batch(duration_s=2))


@torch.no_grad()
def refuses_broken_patches(subject: Subject) -> None:
    """Windows that are not whole patches are refused when they come, and before anything is built."""
    encoder, batch = subject.encoder(), make_batch()
    with pytest.raises(ConfigError, match="length_s"):
        encoder(with_signal(batch, batch["signal"][..., :-7]))
    if subject.traits.output != "window":
        odd = SignalSpec(RATE_HZ, {"odd": MONTAGES[19]}, {"odd": 793})
        with pytest.raises(ConfigError, match="length_s"):
            subject.encoder_of(odd)


@torch.no_grad()
def tokens_hold_their_patch(subject: Subject) -> None:
    """No token's content depends on another's samples: what an objective masks is masked."""
    if subject.traits.output == "window":
        return
    encoder, batch = subject.encoder(), make_batch()
    tokens = encoder.tokenize(batch)
    row, patch = 5 // encoder.channels_per_token, 2
    changed = batch["signal"].clone()
    changed[:, 5, patch * encoder.patch_samples : (patch + 1) * encoder.patch_samples] += 0.3
    again = encoder.tokenize(with_signal(batch, changed)).content
    found = (again != tokens.content).any(dim=-1)[0].nonzero().flatten().tolist()
    assert found == [row * tokens.n_patches + patch]


@torch.no_grad()
def order_of_channels(subject: Subject) -> None:
    """Permuted channels change nothing where this is declared, and something where it is not."""
    batch = make_batch()
    order = torch.randperm(19, generator=torch.Generator().manual_seed(3))
    other, montage = selected(batch, order)
    encoder = subject.encoder_of(subject.spec(more=[montage]))
    if subject.traits.one_montage:
        other["montage"] = batch["montage"]
    expected, found = by_row(encoder, batch), by_row(encoder, other)
    if subject.traits.output == "tokens":
        expected = expected[:, order]
    difference = deviation(found, expected)
    assert (difference < CLOSE) if subject.traits.any_order else (difference > DIFFERENT), difference


@torch.no_grad()
def padding_changes_nothing(subject: Subject) -> None:
    """What lies in channels that are only padding is not seen."""
    encoder = subject.encoder()
    for n_padded in (1, 12):
        batch, real = _with_padding(make_batch(), n_padded)
        expected = real_vectors(encoder, batch, real)
        assert torch.isfinite(expected).all()
        assert torch.equal(real_vectors(encoder, _noise_in_padding(batch), real), expected), n_padded
        if subject.traits.output != "tokens":
            assert deviation(by_row(encoder, make_batch()), expected) > DIFFERENT


@torch.no_grad()
def padding_is_as_if_absent(subject: Subject) -> None:
    """Where channels have no order, padding gives what a batch without these channels gives."""
    if not subject.traits.any_order:
        return
    batch, real = _with_padding(make_batch(), 7)
    alone, montage = selected(batch, real.nonzero().flatten())
    encoder = subject.encoder_of(subject.spec(more=[montage]))
    assert deviation(real_vectors(encoder, batch, real), by_row(encoder, alone)) < CLOSE


@torch.no_grad()
def windows_are_apart(subject: Subject) -> None:
    """No window sees another, not even through its padding."""
    encoder, batch = subject.encoder(), make_batch(n_windows=3)
    mask = torch.ones(3, 19, dtype=torch.bool)
    mask[0, :4], mask[1, 9:] = False, False
    padded: WindowBatch = {**batch, "channel_mask": mask}
    for windows in (batch, padded):
        together = by_row(encoder, windows)
        for k in range(3):
            real = windows["channel_mask"][k] if subject.traits.output == "tokens" else slice(None)
            alone = by_row(encoder, _window(windows, k))
            assert deviation(together[k : k + 1][:, real], alone[:, real]) < CLOSE, k


def _window(batch: WindowBatch, k: int) -> WindowBatch:
    columns = ("signal", "signal_uv", "channel_positions", "channel_mask", "recording")
    return {**batch, **{name: batch[name][k : k + 1] for name in columns}}


@torch.no_grad()
def positions_may_be_shared(subject: Subject) -> None:
    """Positions of each window give what the same positions, shared, give; those of bipolar derivations are taken."""
    encoder, batch = subject.encoder(), make_batch(n_windows=3)
    apart: WindowBatch = {**batch, "channel_positions": batch["channel_positions"].clone()}
    assert deviation(encoder(apart), encoder(batch)) < CLOSE
    bipolar: WindowBatch = {**batch, "second_positions": batch["channel_positions"].roll(1, dims=1)}
    assert encoder(bipolar).shape == encoder(batch).shape


@torch.no_grad()
def time_matters(subject: Subject) -> None:
    """Patches in another order are another window."""
    encoder, batch = subject.encoder(), make_batch()
    pieces = batch["signal"].view(2, 19, 4, -1)
    swapped = with_signal(batch, pieces.flip(2).reshape(batch["signal"].shape))
    expected, found = by_row(encoder, batch), by_row(encoder, swapped)
    # Whole pieces of a second: patches within them keep their order.
    expected, found = (v.unflatten(2, (4, -1)) if v.shape[2] % 4 == 0 else v for v in (expected, found))
    assert deviation(found.flip(2), expected) > DIFFERENT / 5


@torch.no_grad()
def visible_subset(subject: Subject) -> None:
    """Encoding a subset gives what masking the rest gives; who cannot says so."""
    encoder = subject.encoder()
    for batch in (make_batch(), _with_padding(make_batch())[0]):
        tokens = encoder.tokenize(batch)
        for visible in _subsets(tokens):
            if not subject.traits.supports_visible:
                with pytest.raises((ConfigError, AssertionError)):
                    encoder.encode(tokens, visible)
                continue
            masking = with_key_mask(tokens, visible.mask(tokens.content.shape[1]))
            expected = take(encoder.encode(masking), visible.index)
            assert deviation(encoder.encode(tokens, visible), expected) < CLOSE
            few = encoder.tokenize_visible(batch, visible)
            assert deviation(encoder.encode(few, visible), expected) < CLOSE
            assert deviation(take(encoder.encode(tokens), visible.index), expected) > DIFFERENT / 10


def _subsets(tokens: Tokens) -> list[Visible]:
    """Any tokens, and a grid, other ones in each of two windows; none of them padding."""
    R, P, B = tokens.n_rows, tokens.n_patches, len(tokens.content)
    real = torch.ones(B, R, P, dtype=torch.bool)
    if tokens.key_mask is not None:
        real = tokens.key_mask.view(B, R, P)
    score = torch.rand(B, R * P, generator=torch.Generator().manual_seed(1)).masked_fill(~real.flatten(1), 2.0)
    n_visible = max(1, int(real[0].sum()) // 2)
    free = score.argsort(dim=1)[:, :n_visible].sort(dim=1).values
    rows = torch.stack([window[:, 0].nonzero().flatten()[k::2][: max(1, R // 4)] for k, window in enumerate(real)])
    # Gaps between patches differ, within a window and between windows: time must be each patch's own.
    half = torch.arange(max(1, P // 2))
    patches = torch.stack([2 * half, torch.cat((half[:-1], torch.tensor([P - 1])))])
    return [Visible(free), Visible.grid(rows, patches, P)]


def _with_padding(batch: WindowBatch, n_padded: int = 5) -> tuple[WindowBatch, Tensor]:
    """The batch with some channels declared padding, and which are real."""
    B, C, _ = batch["signal"].shape
    real = torch.ones(C, dtype=torch.bool)
    real[torch.randperm(C, generator=torch.Generator().manual_seed(0))[:n_padded]] = False
    return {**batch, "channel_mask": real.expand(B, -1).clone()}, real


def _noise_in_padding(batch: WindowBatch) -> WindowBatch:
    mask = batch["channel_mask"].unsqueeze(-1)
    loud = 20 * noise(batch["signal"].shape, 1)
    positions = torch.where(mask, batch["channel_positions"], batch["channel_positions"] + 0.3)
    return {**with_signal(batch, torch.where(mask, batch["signal"], loud)), "channel_positions": positions}


CHECKS = {
    check.__name__: check
    for check in (
        shapes,
        describes_itself,
        features,
        refuses_what_it_is_not_made_for,
        refuses_broken_patches,
        tokens_hold_their_patch,
        order_of_channels,
        padding_changes_nothing,
        padding_is_as_if_absent,
        windows_are_apart,
        positions_may_be_shared,
        time_matters,
        visible_subset,
    )
}
