"""LaBraM's tokenizer and its codebook."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from contracts.encoder_cases import MONTAGES, make_batch, noise, spec_of
from eegfm.batch import WindowBatch
from eegfm.encoders.config import LabramConfig
from eegfm.encoders.labram.model import Labram
from eegfm.encoders.labram.quantizer import Quantizer, cosine_kmeans
from eegfm.encoders.labram.tokenizer import LabramTokenizer, Spectra, TokenizerOutput, spectra_of
from eegfm.encoders.labram.tokenizer_config import TOKENIZER_ENCODER, LabramTokenizerConfig
from eegfm.errors import CheckpointError
from eegfm.nn.context import CODES, NEW_CODES, Context
from eegfm.nn.weights import load_weights

ENCODER = LabramConfig.model_validate({
    **TOKENIZER_ENCODER, "n_maps": 4, "n_heads": 5, "n_layers": 2, "patch_norm": "patch"
})  # fmt: skip
CONFIG = LabramTokenizerConfig(n_codes=16, d_code=8, n_decoder_layers=1)


class Whole(nn.Module):
    """A tokenizer with the encoder that it stands behind."""

    def __init__(self) -> None:
        super().__init__()
        spec = spec_of([MONTAGES[19]], 4)
        self.encoder = Labram(ENCODER, spec)
        self.tokenizer = LabramTokenizer(CONFIG, self.encoder, spec)
        self.quantizer = self.tokenizer.quantizer

    def follow(self) -> None:
        self.tokenizer.follow(Context())

    def codes(self, batch: WindowBatch) -> Tensor:
        return self.tokenizer.codes(self.encoder(batch))

    def place_codes(self, batch: WindowBatch, generator: torch.Generator) -> None:
        self.tokenizer.place_codes([(self.encoder(batch), None)], generator)

    def forward(self, batch: WindowBatch) -> tuple[Tensor, dict[str, Tensor]]:
        tokens = self.encoder.tokenize(batch)
        found: TokenizerOutput = self.tokenizer(self.encoder, batch, tokens, self.encoder.encode(tokens))
        return found.loss, found.logs


def build(seed: int = 0) -> Whole:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Whole()


def trained(seed: int = 0) -> Whole:
    """With a codebook, after one training step."""
    tokenizer = build(seed).train()
    tokenizer.place_codes(make_batch(), torch.Generator().manual_seed(seed))
    tokenizer(make_batch())
    tokenizer.follow()
    return tokenizer.eval()


def ready(n_codes: int = 6, d_code: int = 4, decay: float = 0.9) -> Quantizer:
    quantizer = Quantizer(n_codes, d_code, decay)
    quantizer.codebook.copy_(normalize(noise((n_codes, d_code), 1), dim=-1))
    other = Quantizer(n_codes, d_code, decay)
    other.load_state_dict(quantizer.state_dict() | {"is_ready": torch.tensor(True)})
    return other


def state(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_the_default_is_the_published_tokenizer() -> None:
    config = LabramTokenizerConfig()
    assert (config.n_codes, config.d_code, config.n_decoder_layers, config.decay) == (8192, 64, 3, 0.99)
    assert config.least_use == 0.1, "not as published"
    layer = LabramConfig.model_validate(TOKENIZER_ENCODER)
    assert (layer.d_model, layer.n_layers, layer.qk_norm, layer.query_value_bias, layer.layer_scale) == (
        200, 12, False, True, 0.0,
    )  # fmt: skip


@torch.no_grad()
def test_a_loaded_codebook_is_the_one_that_is_used() -> None:
    tokenizer, batch = trained(), make_batch(seed=1)
    other = build(seed=1).eval()
    load_weights(other, {name: value.numpy() for name, value in tokenizer.state_dict().items()}, "", "tokenizer")
    codes = other.codes(batch)
    assert torch.equal(codes, tokenizer.codes(batch))
    assert codes.shape == (2, 76)
    assert codes.dtype == torch.int64
    vectors = other.tokenizer.to_code(other.encoder(batch)).double()
    cosines = torch.einsum(
        "bnd,kd->bnk", vectors / vectors.norm(dim=-1, keepdim=True), other.quantizer.codebook.double()
    )
    assert torch.equal(codes, cosines.argmax(dim=-1))
    order = torch.randperm(16, generator=torch.Generator().manual_seed(2))
    changed = {name: value.numpy() for name, value in tokenizer.state_dict().items()}
    for name in ("quantizer.codebook", "tokenizer.quantizer.codebook"):
        changed[name] = changed[name][order.numpy()]
    load_weights(other, changed, "", "tokenizer")
    assert torch.equal(order[other.codes(batch)], codes)


def test_weights_load_whole_or_not_at_all() -> None:
    weights = {name: value.numpy() for name, value in trained().state_dict().items()}
    del weights["quantizer.codebook"]
    with pytest.raises(CheckpointError, match=r"quantizer\.codebook"):
        load_weights(build(), weights, "", "tokenizer")


def test_without_a_codebook_there_are_no_codes() -> None:
    tokenizer = build().eval()
    for ask in (tokenizer.codes, tokenizer):
        with pytest.raises(CheckpointError, match="no codebook yet"):
            ask(make_batch())


@pytest.mark.parametrize("is_training", [False, True])
def test_asking_for_codes_changes_nothing(is_training: bool) -> None:
    tokenizer = trained().train(is_training)
    before = state(tokenizer)
    assert not tokenizer.codes(make_batch()).requires_grad
    assert all(torch.equal(value, before[name]) for name, value in tokenizer.state_dict().items())
    tokenizer.eval()(make_batch())
    assert all(torch.equal(value, before[name]) for name, value in tokenizer.state_dict().items()), "evaluation"


def test_training_moves_the_codebook_as_published() -> None:
    """Vector by vector in float64: unit means of the codes that were taken, averaged, made unit again."""
    quantizer, vectors = ready(n_codes=8).train(), noise((2, 9, 4), 2)
    mask = torch.ones(2, 9, dtype=torch.bool)
    mask[1, 5:] = False
    old = quantizer.codebook.double().numpy()
    unit = (vectors / vectors.norm(dim=-1, keepdim=True))[mask].double().numpy()
    codes = np.array([np.square(old - u).sum(axis=1).argmin() for u in unit])
    expected, usage = old.copy(), np.zeros(8)
    for k in range(8):
        taken = unit[codes == k]
        usage[k] = 0.1 * len(taken)
        if len(taken):
            mean = taken.mean(axis=0)
            moved = 0.9 * old[k] + 0.1 * mean / np.linalg.norm(mean)
            expected[k] = moved / np.linalg.norm(moved)
    found = quantizer(vectors, mask)
    assert torch.equal(quantizer.codebook.double(), torch.from_numpy(old)), "it moves after the step"
    quantizer.follow(Context())
    assert len(set(codes)) < 8, "some codes are not taken"
    assert found.codes[mask].tolist() == codes.tolist()
    np.testing.assert_allclose(quantizer.codebook.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(quantizer.usage.numpy(), usage, atol=1e-6)
    squared = np.square(unit - old[codes]).mean(axis=1)
    of_windows = [squared[:9].mean(), squared[9:].mean()]  # one of 9 tokens, one of 5
    np.testing.assert_allclose(float(found.commitment_loss), np.mean(of_windows), rtol=1e-5)
    shares = np.bincount(codes, minlength=8) / len(codes)
    entropy = -sum(p * np.log(p) for p in shares if p)
    assert float(quantizer.perplexity) == pytest.approx(np.exp(entropy), rel=1e-5)
    assert float(ready().perplexity) == 0, "no code was taken yet"


def test_gradients_pass_through_the_codes() -> None:
    """To the unit vector, as if it were its code; the commitment pulls it towards the code."""
    quantizer, weight = ready().eval(), noise((2, 3, 4), 3)
    vectors = noise((2, 3, 4), 2).requires_grad_()
    found = quantizer(vectors, None)
    torch.testing.assert_close(found.vectors, quantizer.codebook[found.codes])
    (gradient,) = torch.autograd.grad((found.vectors * weight).sum(), vectors)
    (expected,) = torch.autograd.grad((normalize(vectors, dim=-1) * weight).sum(), vectors)
    torch.testing.assert_close(gradient, expected)
    (pull,) = torch.autograd.grad(quantizer(vectors, None).commitment_loss, vectors)
    closer = quantizer((vectors - pull).detach(), None).commitment_loss
    assert closer < quantizer(vectors, None).commitment_loss


def test_kmeans_finds_separate_directions() -> None:
    """Three bundles, and more centres than bundles: every centre lies in one of them."""
    axes = torch.eye(3, 5)
    unit = normalize(axes.repeat_interleave(40, dim=0) + 0.05 * noise((120, 5), 0), dim=-1)
    centres = cosine_kmeans(unit, 12, torch.Generator().manual_seed(0))
    torch.testing.assert_close(centres.norm(dim=-1), torch.ones(12))
    cosines = centres @ axes.T
    assert (cosines.amax(dim=1) > 0.97).all()
    assert (cosines.amax(dim=0) > 0.97).all()
    nearest = (unit @ centres.T).argmax(dim=1)
    for k in nearest.unique():
        torch.testing.assert_close(centres[k], normalize(unit[nearest == k].sum(dim=0), dim=0), atol=1e-3, rtol=0)


def test_of_many_vectors_some_are_drawn() -> None:
    unit = normalize(noise((400, 5), 0), dim=-1)
    unit[:200] = 0.0  # a code that no drawn vector is near stays where it is
    drawn = torch.randperm(400, generator=torch.Generator().manual_seed(1))
    centres = cosine_kmeans(unit, 2, torch.Generator().manual_seed(1))
    by_hand = unit[drawn[:2]]
    for _ in range(10):
        nearest = (unit[drawn[:64]] @ by_hand.T).argmax(dim=1)
        sums = torch.stack([unit[drawn[:64]][nearest == k].sum(dim=0) for k in range(2)])
        by_hand = torch.where(sums.any(dim=1, keepdim=True), normalize(sums, dim=1), by_hand)
    torch.testing.assert_close(centres, by_hand)
    whole = cosine_kmeans(unit[drawn[:64]], 2, torch.Generator().manual_seed(1))
    assert not torch.equal(centres, whole), "another draw"


def test_fewer_vectors_than_codes_are_drawn_repeatedly() -> None:
    unit = normalize(noise((3, 5), 0), dim=-1)
    assert cosine_kmeans(unit, 8, torch.Generator()).shape == (8, 5)


def test_first_windows_place_the_codes() -> None:
    tokenizer = trained()
    quantizer = tokenizer.quantizer
    torch.testing.assert_close(quantizer.codebook.norm(dim=-1), torch.ones(16))
    assert tokenizer.codes(make_batch()).unique().numel() > 8


def test_codes_follow_from_the_context_alone() -> None:
    codebooks = []
    for state_before, seed in ((1, 0), (2, 0), (1, 1)):
        tokenizer = build().train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(state_before)
            tokenizer.place_codes(make_batch(), Context(seed=seed).generator(CODES))
        codebooks.append(tokenizer.quantizer.codebook)
    assert torch.equal(codebooks[0], codebooks[1])
    assert not torch.equal(codebooks[0], codebooks[2])


def test_a_step_in_micro_batches_moves_the_codebook_as_a_whole_one() -> None:
    whole, parts, vectors = ready(n_codes=8).train(), ready(n_codes=8).train(), noise((4, 9, 4), 2)
    whole(vectors, None)
    for part in vectors.split((1, 3)):
        parts(part, None)
    for quantizer in (whole, parts):
        quantizer.follow(Context())
        moved = quantizer.codebook.clone()
        quantizer.follow(Context())
        assert torch.equal(quantizer.codebook, moved), "nothing came since"
    torch.testing.assert_close(parts.codebook, whole.codebook)
    torch.testing.assert_close(parts.usage, whole.usage)


def in_bundles(counts: list[int], seed: int = 2) -> Tensor:
    """(4, 16, 4) vectors of any length around four of the codes of ``ready()``, as many as ``counts`` says."""
    centres = ready().codebook[:4].repeat_interleave(torch.tensor(counts), dim=0)
    return (centres + 0.02 * noise(centres.shape, seed)).view(4, 16, 4) * (1 + noise((4, 16, 1), 5).abs())


def follow(parts: list[tuple[str, Tensor]], step: int = 0, steps_before: int = 0, **options: float) -> Quantizer:
    """The codebook after a step over these micro-batches."""
    quantizer = Quantizer(6, 4, 0.9, **options)
    quantizer.load_state_dict(ready().state_dict())
    quantizer.train()
    for number in (*range(steps_before), step):
        for corpus, vectors in parts:
            context = Context(step=number, corpora=("hbn", "tuh"))
            quantizer(vectors, None, context.window_draws(NEW_CODES, corpus, len(vectors)))
        quantizer.follow(Context())
    return quantizer


def test_codes_that_nothing_takes_are_placed_on_vectors_of_the_step() -> None:
    """Of 64 vectors two codes take none and one takes one, a tenth of even use and less; there are four candidates."""
    vectors, published = in_bundles([40, 13, 10, 1]), follow([("tuh", in_bundles([40, 13, 10, 1]))])
    unit = normalize(vectors, dim=-1).flatten(0, 1)
    found = follow([("tuh", vectors)], least_use=0.2)
    assert torch.equal(found.codebook[:3], published.codebook[:3])
    moved = found.codebook[3:]
    assert not torch.isclose(moved, published.codebook[3:]).all(dim=1).any()
    nearest = (unit @ moved.T).amax(dim=0)
    torch.testing.assert_close(nearest, torch.ones(3), msg="each is a vector of the step")
    windows = (unit @ moved.T).argmax(dim=0) // 16
    assert len(windows.unique()) == 3, "of a window of its own"
    least = 0.2 * 0.1 * 64 / 6
    torch.testing.assert_close(found.usage[3:], torch.full((3,), 2 * least))
    assert float(found.usage[0]) == pytest.approx(4.0)


def test_who_is_placed_where_follows_from_the_context() -> None:
    vectors = in_bundles([32, 32, 0, 0])
    first = follow([("tuh", vectors)], least_use=0.1)
    assert torch.equal(first.codebook, follow([("tuh", vectors)], least_use=0.1).codebook)
    assert not torch.equal(first.codebook, follow([("tuh", vectors)], step=1, least_use=0.1).codebook)
    two = [("hbn", vectors[:1]), ("tuh", vectors[1:])]
    torch.testing.assert_close(follow(two, least_use=0.1).codebook, follow(two[::-1], least_use=0.1).codebook)


def test_codes_that_too_few_vectors_came_for_stay() -> None:
    """An even share must be ten vectors before a tenth of it is one: here it is 3 in a step, 7 in three, 12 in six."""
    few = [("tuh", in_bundles([32, 32, 0, 0])[:1])]
    for steps_before, stays in ((0, True), (2, True), (5, False)):
        options = {"steps_before": steps_before, "step": steps_before}
        found, published = follow(few, least_use=0.1, **options), follow(few, **options)
        assert torch.equal(found.codebook, published.codebook) is stays


def test_padding_is_no_place_for_a_code() -> None:
    quantizer, vectors = ready().train(), in_bundles([32, 32, 0, 0])
    quantizer.least_use = 0.4
    mask = torch.zeros(4, 16, dtype=torch.bool)
    mask[0], mask[1, 5] = True, True  # the others have nothing real
    quantizer(torch.where(mask.unsqueeze(-1), vectors, torch.tensor([0.5, -0.5, 0.5, -0.5])), mask,
              Context().window_draws(NEW_CODES, "tuh", 4))  # fmt: skip
    before = quantizer.codebook.clone()
    quantizer.follow(Context())
    unit = normalize(vectors[mask], dim=-1)
    stays = torch.isclose(quantizer.codebook, before).all(dim=1)
    found = torch.isclose(quantizer.codebook.unsqueeze(1), unit).all(dim=2).any(dim=1)
    assert found.sum() == 2
    assert (stays | found)[1:].all()


def test_the_decoder_begins_at_a_spectrum() -> None:
    tokenizer, batch = build(), make_batch()
    tokenizer.place_codes(batch, torch.Generator().manual_seed(0))
    mean = Spectra(torch.linspace(-1, 1, 200), torch.linspace(2, 3, 200))
    tokenizer.tokenizer.begin_at(mean)
    tokens = tokenizer.encoder.tokenize(batch)
    found = tokenizer.tokenizer(tokenizer.encoder, batch, tokens, tokenizer.encoder.encode(tokens))
    for predicted, expected in zip(found.predicted, mean, strict=True):
        assert float((predicted - expected).abs().max().detach()) < 0.3


def test_targets_are_standardised_spectra() -> None:
    tokenizer, batch = build(), make_batch()
    spectra = np.fft.fft(batch["signal_uv"].double().numpy().reshape(2, 76, 200))
    spectra.imag[..., [0, 100]] = 0.0  # so that a negative number has the phase pi, never -pi
    targets = spectra_of(tokenizer.encoder, batch, None)._asdict()
    for name, function in (("amplitude", np.abs), ("phase", np.angle)):
        values = function(spectra)
        mean, sd = values.mean(axis=(1, 2), keepdims=True), values.std(axis=(1, 2), ddof=1, keepdims=True)
        np.testing.assert_allclose(targets[name].numpy(), (values - mean) / sd, atol=1e-3)


def test_targets_are_what_no_learned_weight_reaches() -> None:
    tokenizer, batch = build(), make_batch()
    other: WindowBatch = {**batch, "target_signal": batch["signal_uv"], "signal": 2 * make_batch(seed=3)["signal"]}
    found, expected = (spectra_of(tokenizer.encoder, one, None) for one in (other, batch))
    assert torch.equal(found.amplitude, expected.amplitude)


def test_padding_changes_neither_loss_nor_codebook() -> None:
    mask = torch.ones(2, 19, dtype=torch.bool)
    mask[:, 12:] = False
    losses, codebooks = [], []
    for loud in (1.0, 50.0):
        tokenizer, batch = trained().train(), make_batch(seed=4)
        signal = torch.where(mask.unsqueeze(-1), batch["signal"], loud * noise(batch["signal"].shape, 7))
        losses.append(tokenizer({**batch, "signal": signal, "channel_mask": mask})[0].detach())
        tokenizer.follow()
        codebooks.append(tokenizer.quantizer.codebook)
    assert torch.equal(losses[0], losses[1])
    assert torch.equal(codebooks[0], codebooks[1])
    assert not torch.equal(losses[0], trained().train()(make_batch(seed=4))[0].detach())


def test_a_flat_window_has_a_finite_loss() -> None:
    tokenizer, batch = trained().train(), make_batch()
    batch["signal"][0] = 0.0
    loss, _ = tokenizer(batch)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in tokenizer.parameters() if p.grad is not None)


def test_every_weight_learns_and_the_loss_falls() -> None:
    tokenizer, batch = build().train(), make_batch(n_windows=1)
    optimizer = torch.optim.AdamW(tokenizer.parameters(), 4e-3)
    tokenizer.place_codes(batch, torch.Generator().manual_seed(0))
    history = []
    for step in range(12):
        loss, logs = tokenizer(batch)
        parts = [logs[name] for name in ("amplitude_loss", "phase_loss", "commitment_loss")]
        torch.testing.assert_close(logs["loss"], sum(parts))
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            for name, parameter in tokenizer.named_parameters():
                assert parameter.grad is not None, name
                assert parameter.grad.abs().max() > 0, name
        optimizer.step()
        tokenizer.follow()
        history.append({name: float(value) for name, value in logs.items()})
    assert history[0]["amplitude_loss"] == pytest.approx(1.0, abs=0.05)
    assert history[-1]["loss"] < 0.97 * history[0]["loss"]
    assert 1 < float(tokenizer.quantizer.perplexity) <= 16


@torch.no_grad()
def test_codes_under_autocast_are_those_of_float32() -> None:
    tokenizer, batch = trained(), make_batch()
    expected = tokenizer.codes(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        codes = tokenizer.codes(batch)
        loss, _ = tokenizer.train()(batch)
    assert torch.isfinite(loss)
    assert float((codes == expected).float().mean()) > 0.9
