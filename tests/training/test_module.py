"""One step of pretraining, without a trainer."""

from types import SimpleNamespace

import pytest
import torch
from eegfm.training.randomness import TRAINING_MASKS, VALIDATION_MASKS, generator_for

from eegfm.adapters.config import NoAdapterConfig, PerceiverConfig
from eegfm.adapters.load import new_adapter
from eegfm.adapters.none import NoAdapter
from eegfm.batch import SignalSpec, StoredBatch
from eegfm.encoders.config import PatchTransformerConfig
from eegfm.encoders.load import new_encoder
from eegfm.errors import ConfigError, TrainingError
from eegfm.nn.rereference import Rereference
from eegfm.objectives.config import MaskedConfig
from eegfm.recording import Montage
from eegfm.training.config import PretrainParams
from eegfm.training.module import PretrainModule

WEIGHTS = {"hbn": 0.7, "tuh": 0.3}


@pytest.fixture
def batches(small: Montage, large: Montage) -> list[StoredBatch]:
    generator = torch.Generator().manual_seed(0)

    def stored(corpus: str, montage: Montage, size: int, n_samples: int) -> StoredBatch:
        shape = (size, n_samples, montage.n_channels)
        return {
            "samples": torch.randint(-2000, 2000, shape, generator=generator).to(torch.int16),
            "scales_uv": torch.full((size, montage.n_channels), 0.02),
            "recording": torch.arange(size),
            "corpus": corpus,
            "montage": montage.name,
        }

    return [stored("hbn", large, 7, 200), stored("tuh", small, 3, 400)]


@pytest.fixture
def module(small: Montage, large: Montage) -> PretrainModule:
    params = PretrainParams(
        encoder=PatchTransformerConfig(d_model=16, head_size=8, n_layers=2),
        objective=MaskedConfig(),
        n_steps=10,
        seed=3,
        log_interval_steps=5,
    )
    spec = SignalSpec(100.0, {m.name: m for m in (small, large)}, {small.name: 400, large.name: 200})
    objective = params.objective.build(new_encoder(params.encoder, spec, 0), spec)
    return PretrainModule(
        objective, Rereference(spec.montages), NoAdapter(NoAdapterConfig(), spec), params, WEIGHTS, 10
    )


def losses(module: PretrainModule, batches: list[StoredBatch], use: int, step: int) -> list[float]:
    return [
        float(module.objective(module.rereference(batch), generator_for(3, use, step, k))[0].detach())
        for k, batch in enumerate(batches)
    ]


def test_the_loss_is_the_corpora_weighted(module: PretrainModule, batches: list[StoredBatch]) -> None:
    loss = module.training_step(batches, 2)
    hbn, tuh = losses(module, batches, TRAINING_MASKS, 2)
    assert float(loss.detach()) == pytest.approx(0.7 * hbn + 0.3 * tuh, rel=1e-5)
    assert loss.requires_grad


def test_masks_follow_the_step_not_the_history(module: PretrainModule, batches: list[StoredBatch]) -> None:
    first = module.training_step(batches, 0).detach()
    module.training_step(batches, 1)
    assert torch.equal(module.training_step(batches, 0).detach(), first)
    assert not torch.equal(module.training_step(batches, 1).detach(), first)


@pytest.fixture
def dropping(module: PretrainModule) -> PretrainModule:
    """The module with half of all activations dropped."""
    for part in module.modules():
        if hasattr(part, "dropout_ratio"):
            part.dropout_ratio = 0.5
    return module


def step_loss(module: PretrainModule, batches: list[StoredBatch], step: int) -> float:
    return float(module.training_step(batches, step).detach())


def test_dropout_follows_the_step_not_the_history(dropping: PretrainModule, batches: list[StoredBatch]) -> None:
    whole = [step_loss(dropping, batches, step) for step in range(3)]
    torch.rand(5)
    assert step_loss(dropping, batches, 2) == whole[2], "a run that goes on at step 2 drops what it would have dropped"
    assert dropping.training_step(batches, 2).detach() != dropping.eval().training_step(batches, 2).detach()


def test_each_corpus_and_rank_drops_its_own(
    dropping: PretrainModule, batches: list[StoredBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[torch.Tensor] = []

    def draw(batch: object, generator: torch.Generator) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        drawn.append(torch.rand(8))
        return torch.zeros(()), {}

    monkeypatch.setattr(dropping.objective, "forward", draw)
    for rank in (0, 1):
        monkeypatch.setattr(type(dropping), "global_rank", rank)
        dropping.training_step(batches, 0)
        dropping.training_step(batches[1:], 0)
    first, second = drawn[:3], drawn[3:]
    assert torch.equal(first[1], first[2]), "what one corpus draws does not depend on those before it"
    assert len({tuple(draws.tolist()) for draws in (*first[:2], *second[:2])}) == 4


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_broken_loss_stops_the_run(module: PretrainModule, batches: list[StoredBatch], poison: float) -> None:
    batches[1]["scales_uv"] = torch.full_like(batches[1]["scales_uv"], poison)
    with pytest.raises(TrainingError, match=r"loss of step 8 is nan.*optimizer\.learning_rate"):
        module.training_step(batches, 7)


def test_validation_means_count_windows_then_weights(
    module: PretrainModule, batches: list[StoredBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: dict[str, float] = {}
    monkeypatch.setattr(module, "log_dict", logged.update)
    monkeypatch.setattr(module, "log", lambda *args, **kwargs: None)
    monkeypatch.setattr(type(module), "global_step", 6)
    steps = [batches, batches[:1]]
    for scale_uv in (0.02, 0.05):  # the second validation forgets the first
        for batch in batches:
            batch["scales_uv"].fill_(scale_uv)
        module.on_validation_epoch_start()
        for k, step in enumerate(steps):
            module.validation_step(step, k)
        module.on_validation_epoch_end()
        hbn, tuh = losses(module, batches, VALIDATION_MASKS, 0)
        later = losses(module, batches, VALIDATION_MASKS, 1)[0]
        assert logged["val_loss_hbn"] == pytest.approx((hbn + later) / 2, rel=1e-5)
        assert logged["val_loss"] == pytest.approx(0.7 * (hbn + later) / 2 + 0.3 * tuh, rel=1e-5)
    table = module.history.table()
    assert table["step"].tolist() == [6]
    assert table["val_loss"][0] == logged["val_loss"]


def test_every_logged_step_has_a_row(
    module: PretrainModule, batches: list[StoredBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    optimizer = torch.optim.SGD(module.parameters(), lr=0.25)
    module._trainer = SimpleNamespace(optimizers=[optimizer], global_rank=0)
    monkeypatch.setattr(module, "log_dict", lambda *args: None)
    monkeypatch.setattr(module, "log", lambda *args, **kwargs: None)
    for k in range(10):
        module.training_step(batches, k)
    table = module.history.table()
    assert table["step"].tolist() == [5, 10]
    assert table["lr"].tolist() == [0.25, 0.25]
    expected = 0.7 * table["loss_hbn"] + 0.3 * table["loss_tuh"]
    assert table["loss"].tolist() == pytest.approx(expected.tolist())


def perceiving(module: PretrainModule, small: Montage, large: Montage, patch_s: float) -> PretrainModule:
    """The module with an adapter that has weights."""
    spec = SignalSpec(100.0, {m.name: m for m in (small, large)}, {small.name: 400, large.name: 200})
    config = PerceiverConfig(montage="1020_19", patch_s=patch_s, d_model=16, n_heads=2)
    adapter = new_adapter(config, spec, seed=0)
    objective = module.params.objective.build(module.objective.encoder, adapter.adapted_spec(spec))
    return PretrainModule(objective, Rereference(spec.montages), adapter, module.params, WEIGHTS, 10)


def test_the_adapter_is_trained_too(
    module: PretrainModule, batches: list[StoredBatch], small: Montage, large: Montage
) -> None:
    module = perceiving(module, small, large, 0.25)
    module.training_step(batches, 0).backward()
    gradients = {name: p.grad for name, p in module.adapter.named_parameters()}
    assert gradients
    assert all(gradient is not None and gradient.abs().max() > 0 for gradient in gradients.values())
    optimizer = module.configure_optimizers()["optimizer"]
    optimized = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert {id(p) for p in module.adapter.parameters()} <= optimized
    before = [p.detach().clone() for p in module.adapter.parameters()]
    optimizer.param_groups[0]["lr"] = optimizer.param_groups[-1]["lr"] = 1e-2
    optimizer.step()
    assert all(not torch.equal(p, b) for p, b in zip(module.adapter.parameters(), before, strict=True))


def test_an_adapter_that_would_mix_patches_is_refused(module: PretrainModule, small: Montage, large: Montage) -> None:
    with pytest.raises(ConfigError, match=r"adapter\.patch_s 0\.4 is 40 samples.* patch of 100"):
        perceiving(module, small, large, 0.4)
