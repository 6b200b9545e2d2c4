"""One step of pretraining, without a trainer."""

import gc
import weakref
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger

from eegfm.adapters.config import NoAdapterConfig, PerceiverConfig
from eegfm.batch import SignalSpec, StoredBatch, TrainStep, rank_slice
from eegfm.config import Buildable
from eegfm.encoders.config import PatchTransformerConfig
from eegfm.errors import ConfigError, TrainingError
from eegfm.inference.backbone import new_backbone
from eegfm.nn.context import Context, Stage
from eegfm.objectives.base import LossOutput
from eegfm.objectives.config import MaeConfig, MaskedConfig
from eegfm.objectives.masked import Masked
from eegfm.recording import Montage
from eegfm.training.blocks import WeightAverageParams
from eegfm.training.config import PretrainParams, TokenizerParams
from eegfm.training.logs.training_log import TrainingLog
from eegfm.training.module import PretrainModule
from eegfm.training.schedules.base import Schedule
from eegfm.training.setup import TrainingSetup
from eegfm.training.trainer import quieten

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
    return built(params, NoAdapterConfig(), spec)


def built(params: PretrainParams, adapter: Buildable, spec: SignalSpec) -> PretrainModule:
    backbone = new_backbone(params.encoder, adapter, spec, 0, reference="average", bad_channels="mask")
    return PretrainModule(TrainingSetup(params.objective.build(backbone), params, WEIGHTS, 10, 10))


def context(step: int, stage: Stage = Stage.TRAINING, rank: int = 0, world_size: int = 1) -> Context:
    return Context(step, 10, 3, rank, world_size, ("hbn", "tuh"), stage)


def losses(module: PretrainModule, batches: list[StoredBatch], stage: Stage, step: int) -> list[float]:
    return [float(module.objective(batch, context(step, stage)).loss.detach()) for batch in batches]


def step_of(batches: list[StoredBatch], number: int, n_windows: int = 10) -> TrainStep:
    return TrainStep(number, batches, n_windows)


def step_loss(module: PretrainModule, batches: list[StoredBatch], step: int) -> float:
    return sum(share * float(output.loss.detach()) for _, share, output in module.losses(step_of(batches, step)))


def test_every_window_of_a_step_counts_alike(module: PretrainModule, batches: list[StoredBatch]) -> None:
    hbn, tuh = losses(module, batches, Stage.TRAINING, 2)
    assert step_loss(module, batches, 2) == pytest.approx(0.7 * hbn + 0.3 * tuh, rel=1e-5)


def test_the_share_of_a_window_does_not_depend_on_the_corpora_of_its_step(
    module: PretrainModule, batches: list[StoredBatch]
) -> None:
    """Steps of one corpus each, as pairs come: corpora have their shares by their steps, and not twice."""
    for step in (step_of(batches[:1], 0, 7), step_of(batches[1:], 1, 3)):
        assert [share for _, share, _ in module.losses(step)] == [1.0]
    two_of_one = [batches[1], batches[1], batches[0]]
    outputs = list(module.losses(step_of(two_of_one, 0, 13)))
    assert [share for _, share, _ in outputs] == [3 / 13, 3 / 13, 7 / 13]
    first, second = (float(output.loss.detach()) for _, _, output in outputs[:2])
    assert first != second, "each micro-batch of a corpus has masks of its own"


def test_logs_are_of_all_micro_batches_of_a_corpus(
    module: PretrainModule, batches: list[StoredBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[float] = []
    forward = module.objective.forward

    def watched(batch: StoredBatch, context: Context) -> LossOutput:
        output = forward(batch, context)
        if context.step == 9 and context.stage == Stage.TRAINING:
            found.append(float(output.loss.detach()))
        return output

    monkeypatch.setattr(module.objective, "forward", watched)
    fit(module, [first_windows(batches[1], 1), batches[1], batches[0]], n_windows=11)
    last = module.history.table().set_index("step").loc[10]
    assert last["loss_tuh"] == pytest.approx((found[0] + 3 * found[1]) / 4)
    assert last["loss_hbn"] == pytest.approx(found[2])


def trained(module: PretrainModule, steps: list[TrainStep]) -> dict[str, torch.Tensor]:
    """Gradients of the last step."""
    optimizer = torch.optim.SGD(module.parameters(), lr=0.0)
    for step in steps:
        optimizer.zero_grad()
        for _, share, output in module.losses(step):
            (share * output.loss).backward()
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def test_gradients_of_micro_batches_add_up_to_those_of_the_weighted_loss(
    module: PretrainModule, batches: list[StoredBatch]
) -> None:
    found = trained(module, [step_of(batches, 4)])
    module.zero_grad()
    total = sum(w * module.objective(b, context(4)).loss for w, b in zip((0.7, 0.3), batches, strict=True))
    total.backward()
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, atol=1e-6, rtol=1e-4)


def first_windows(batch: StoredBatch, n: int) -> StoredBatch:
    return {**batch, **{k: batch[k][:n] for k in ("samples", "scales_uv", "recording")}}


def parts(batches: list[StoredBatch], rank: int) -> list[StoredBatch]:
    """Half of every micro-batch, as one of two ranks has it."""
    halves = []
    for batch in batches:
        own = rank_slice(rank, 2)
        half: StoredBatch = {**batch, **{k: batch[k][own] for k in ("samples", "scales_uv", "recording")}}
        if "is_bad" in batch:
            half["is_bad"] = batch["is_bad"][own]
        halves.append(half)
    return halves


@pytest.mark.parametrize("objective", [MaskedConfig(), MaeConfig(), MaeConfig(mask={"name": "random"})], ids=str)
@pytest.mark.parametrize("bad", ["none", "some"])
def test_two_ranks_have_the_gradient_of_one_process(
    module: PretrainModule,
    batches: list[StoredBatch],
    monkeypatch: pytest.MonkeyPatch,
    objective: MaskedConfig | MaeConfig,
    bad: str,
) -> None:
    batches = [first_windows(batch, n) for batch, n in zip(batches, (6, 2), strict=True)]
    if bad == "some":
        is_bad = np.zeros((6, batches[0]["samples"].shape[2]), dtype=bool)
        is_bad[1, 2], is_bad[4, :3] = True, True
        is_bad[::2, 3] = True  # in all windows of one rank
        batches[0]["is_bad"] = is_bad
    params = module.params.model_copy(update={"objective": objective})
    module = built(params, NoAdapterConfig(), module.objective.backbone.spec)
    whole = trained(module, [step_of(batches, 2, 8)])
    ranks = []
    for rank in (0, 1):
        module.zero_grad()
        monkeypatch.setattr(PretrainModule, "rank", rank)
        monkeypatch.setattr(PretrainModule, "world_size", 2)
        ranks.append(trained(module, [step_of(parts(batches, rank), 2, 8)]))
    for name, expected in whole.items():
        torch.testing.assert_close((ranks[0][name] + ranks[1][name]) / 2, expected, atol=1e-5, rtol=1e-3)


def test_masks_follow_the_step_not_the_history(module: PretrainModule, batches: list[StoredBatch]) -> None:
    first = step_loss(module, batches, 0)
    step_loss(module, batches, 1)
    assert step_loss(module, batches, 0) == first
    assert step_loss(module, batches, 1) != first


@pytest.fixture
def dropping(module: PretrainModule) -> PretrainModule:
    """The module with half of all activations dropped."""
    for part in module.modules():
        if hasattr(part, "dropout_ratio"):
            part.dropout_ratio = 0.5
    return module


def test_dropout_follows_the_step_not_the_history(dropping: PretrainModule, batches: list[StoredBatch]) -> None:
    whole = [step_loss(dropping, batches, step) for step in range(3)]
    torch.rand(5)
    assert step_loss(dropping, batches, 2) == whole[2], "a run that goes on at step 2 drops what it would have dropped"
    assert step_loss(dropping, batches, 2) != step_loss(dropping.eval(), batches, 2)


def test_each_corpus_and_rank_drops_its_own(
    dropping: PretrainModule, batches: list[StoredBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[torch.Tensor] = []

    def draw(batch: object, context: Context) -> LossOutput:
        drawn.append(torch.rand(8))
        return LossOutput(torch.zeros(()), {})

    monkeypatch.setattr(dropping.objective, "forward", draw)
    for rank in (0, 1):
        monkeypatch.setattr(PretrainModule, "rank", rank)
        monkeypatch.setattr(PretrainModule, "world_size", 2)
        step_loss(dropping, batches, 0)
        step_loss(dropping, batches[1:], 0)
    first, second = drawn[:3], drawn[3:]
    assert torch.equal(first[1], first[2]), "what one corpus draws does not depend on those before it"
    assert len({tuple(draws.tolist()) for draws in (*first[:2], *second[:2])}) == 4


class Steps:
    """Steps of the same micro-batches, as a loader gives them."""

    def __init__(self, batches: list[StoredBatch], n_steps: int, n_windows: int) -> None:
        self.batches, self.n_steps, self.n_windows = batches, n_steps, n_windows

    def __len__(self) -> int:
        return self.n_steps

    def __iter__(self) -> Iterator[TrainStep]:
        return (step_of(self.batches, number, self.n_windows) for number in range(self.n_steps))


def fit(
    module: PretrainModule,
    batches: list[StoredBatch],
    *callbacks: Callback,
    n_windows: int = 10,
    to: Logger | None = None,
) -> None:
    """Take all steps with a trainer of Lightning's own making."""
    quieten()
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=to or False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=list(callbacks), num_sanity_val_steps=0, log_every_n_steps=1,
    )  # fmt: skip
    trainer.fit(module, Steps(batches, 10, n_windows), Steps(batches, 1, n_windows))


class Poison(Callback):
    """Makes samples of some steps something that is no number; what is changed at one step is seen by the next."""

    def __init__(self, batch: StoredBatch, poison: float, poisoned: range) -> None:
        self.batch, self.scales_uv, self.poison, self.poisoned = batch, batch["scales_uv"], poison, poisoned
        self.steps: list[int] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: TrainStep, k: int) -> None:
        self.steps.append(k)
        is_poisoned = k in self.poisoned
        self.batch["scales_uv"] = torch.full_like(self.scales_uv, self.poison) if is_poisoned else self.scales_uv


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_too_many_broken_losses_stop_the_run_at_the_next_look(
    module: PretrainModule, batches: list[StoredBatch], poison: float
) -> None:
    module.skipped.max_skipped = 2
    poisons = Poison(batches[1], poison, range(6, 20))
    # The last step that is broken has its number in the message; the loss is looked at every fifth step only.
    with pytest.raises(TrainingError, match=r"of step 10 is not finite, and 3 steps .*optimizer\.learning_rate"):
        fit(module, batches, poisons)
    assert poisons.steps == list(range(10))


class Followed(Masked):
    """An objective with a teacher and a count, which move once per step."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.teacher = torch.nn.Linear(2, 2).requires_grad_(False)
        self.register_buffer("n_followed", torch.zeros(()))

    def after_step(self, context: Context) -> None:
        """Move them."""
        with torch.no_grad():
            self.teacher.weight.add_(1.0)
            self.n_followed.add_(1.0)


def test_a_broken_step_changes_nothing_but_the_count(
    module: PretrainModule, batches: list[StoredBatch], caplog: pytest.LogCaptureFixture
) -> None:
    params = module.params.model_copy(update={"weight_average": WeightAverageParams(decay=0.5, start_ratio=0)})
    module = PretrainModule(
        TrainingSetup(Followed(params.objective, module.objective.backbone), params, WEIGHTS, 10, 10)
    )
    seen: list[dict[str, torch.Tensor]] = []

    class Look(Callback):
        def on_train_batch_end(self, trainer: Trainer, pl_module: PretrainModule, *_: Any) -> None:
            (optimizer,) = trainer.optimizers
            values = dict(pl_module.state_dict())
            for k, state in enumerate(optimizer.state.values()):
                values |= {f"{k} {name}": value for name, value in state.items()}
            values |= pl_module.average.state_dict()["averages"]
            seen.append({name: value.clone() for name, value in values.items()})

    fit(module, batches, Poison(batches[1], float("nan"), range(3, 5)), Look())
    equal = [all(torch.equal(a[name], b[name]) for name in a) for a, b in pairwise(seen)]
    assert equal == [False] * 3 + [True] * 2 + [False] * 4
    assert module.skipped.n_skipped == 2
    assert module.objective.n_followed == 8
    assert [line for line in caplog.messages if "not finite" in line] == [
        f"Loss or gradient of step {4 + k} is not finite, and it was left out; {k} of at most 10 (max_skipped_steps)"
        for k in (1, 2)
    ]


def test_a_broken_step_moves_no_codebook(batches: list[StoredBatch], small: Montage, large: Montage) -> None:
    """The codebook follows behind the optimizer's step, by vectors that are no numbers then."""
    params = TokenizerParams.model_validate({
        "n_steps": 10, "encoder": {"n_maps": 4, "n_heads": 4, "n_layers": 1, "patch_samples": 100},
        "objective": {"n_codes": 4, "d_code": 4, "n_decoder_layers": 1},
    })  # fmt: skip
    spec = SignalSpec(100.0, {m.name: m for m in (small, large)}, {small.name: 400, large.name: 200})
    module = built(params, NoAdapterConfig(), spec)
    module.objective.setup(batches, Context())
    seen: list[torch.Tensor] = []

    class Look(Callback):
        def on_train_batch_end(self, trainer: Trainer, pl_module: PretrainModule, *_: Any) -> None:
            seen.append(pl_module.objective.own_state()["tokenizer.quantizer.codebook"].clone())

    fit(module, batches, Poison(batches[1], float("nan"), range(3, 5)), Look())
    assert [torch.equal(a, b) for a, b in pairwise(seen)] == [False] * 3 + [True] * 2 + [False] * 4
    assert all(codebook.isfinite().all() for codebook in seen)


def test_no_step_between_two_looks_waits_for_the_device(
    module: PretrainModule, batches: list[StoredBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    for name in (
        *("item", "__bool__", "__float__", "__int__", "__index__", "tolist", "numpy", "cpu", "nonzero"),
        *("masked_select", "unique", "__contains__", "__array__"),
    ):
        asked = getattr(torch.Tensor, name)

        def look(tensor: torch.Tensor, *args: Any, asked: Any = asked, name: str = name) -> Any:
            looks.append(name)
            return asked(tensor, *args)

        monkeypatch.setattr(torch.Tensor, name, look)
    module.params = module.params.model_copy(update={"log_interval_steps": 100})
    seen: list[int] = []

    class Count(Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            looks.clear()

        def on_train_batch_end(self, *_: Any) -> None:
            seen.append(len(looks))

    fit(module, batches, Count())
    assert seen[:-1] == [0] * 9, "the last step is logged"
    assert seen[-1] > 0


class Kept(Logger):
    """Keep what comes, in its order."""

    name, version = "kept", ""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        assert step is not None
        self.rows.append((step, dict(metrics)))

    def log_hyperparams(self, params: Any) -> None:
        pass


def test_every_value_has_a_name(module: PretrainModule, batches: list[StoredBatch]) -> None:
    module.n_steps_per_epoch, kept, seen = 4, Kept(), dict[str, Any]()
    module.training_log = TrainingLog(WEIGHTS, 10, 4)

    class See(Callback):
        def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            seen.update(trainer.callback_metrics)

    fit(module, batches, See(), to=kept)
    values = {"loss", "baseline_loss", "visible_mean_loss", "r2"}
    expected = {f"{name}{end}" for name in values for end in ("", "/hbn", "/tuh")}
    measured = {f"{name}{end}" for name in ("effective_rank", "pooled_sd") for end in ("", "/hbn", "/tuh")}
    of_epoch = {f"train/{name}_epoch{end}" for name in values for end in ("", "/hbn", "/tuh")}
    of_corpora = {f"train/{name}/{corpus}" for name in ("gradient_share", "mixture") for corpus in WEIGHTS}
    of_step = {f"train/{name}" for name in expected} | of_corpora | {"train/gradient_norm", "lr/encoder", "lr/head"}
    speed = {"speed/windows_per_s", "speed/tokens_per_s"}
    assert [step for step, _ in kept.rows] == [4, 5, 8, 10, 10], "in their order, the last epoch with the last step"
    of = [set(row) for _, row in kept.rows]
    assert of[:3] == [of_epoch, of_step | speed, of_epoch]
    assert of[3:] == [of_step | of_epoch | speed, {f"val/{n}" for n in expected | measured}]
    last = kept.rows[3][1]
    assert last["train/mixture/hbn"] == pytest.approx(0.7)
    assert last["train/gradient_share/hbn"] + last["train/gradient_share/tuh"] == pytest.approx(1)
    assert 0 < last["train/gradient_norm"] < sum(last[f"train/loss/{c}"] for c in WEIGHTS) * 1e3
    assert last["speed/tokens_per_s"] / last["speed/windows_per_s"] == pytest.approx((7 * 10 + 3 * 12) / 10)
    assert module.history.table()["step"].tolist() == [5, 10]
    assert float(seen["train_loss"]) == float(seen["train/loss"]) == pytest.approx(last["train/loss"])
    assert float(seen["val_loss"]) == pytest.approx(module.validation_values["val/loss"])


def test_the_share_of_a_corpus_is_that_of_its_own_gradient(module: PretrainModule, batches: list[StoredBatch]) -> None:
    norms: dict[str, float] = {}

    class Alone(Callback):
        def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: TrainStep, k: int) -> None:
            if k < 9:
                return
            for corpus, share, output in module.losses(batch):
                gradients = torch.autograd.grad(share * output.loss, list(module.parameters()), allow_unused=True)
                norms[corpus] = float(torch.cat([g.flatten() for g in gradients if g is not None]).norm())

    fit(module, batches, Alone())
    last = module.history.table().iloc[-1]
    assert last["gradient_share_hbn"] == pytest.approx(norms["hbn"] / sum(norms.values()), rel=1e-4)
    assert last["gradient_norm"] < sum(norms.values())


def test_validation_means_count_windows_then_weights(
    module: PretrainModule, batches: list[StoredBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: dict[str, float] = {}
    monkeypatch.setattr(module, "log_dict", lambda values, **_: logged.update(values))
    monkeypatch.setattr(module, "log", lambda *args, **kwargs: None)
    monkeypatch.setattr(type(module), "global_step", 6)
    steps = [step_of(batches, 0), step_of(batches[:1], 1, 7)]
    for scale_uv in (0.02, 0.05):  # the second validation forgets the first
        for batch in batches:
            batch["scales_uv"].fill_(scale_uv)
        module.on_validation_epoch_start()
        for k, step in enumerate(steps):
            module.validation_step(step, k)
        module.on_validation_epoch_end()
        hbn, tuh = losses(module, batches, Stage.VALIDATION, 0)
        later = losses(module, batches, Stage.VALIDATION, 1)[0]
        assert logged["val/loss/hbn"] == pytest.approx((hbn + later) / 2, rel=1e-5)
        assert logged["val/loss"] == pytest.approx(0.7 * (hbn + later) / 2 + 0.3 * tuh, rel=1e-5)
        assert logged.pop("val_loss") == logged["val/loss"]
        assert module.validation_values == logged
    table = module.history.table()
    assert table["step"].tolist() == [6]
    assert table["val_loss"][0] == logged["val/loss"]


def test_the_schedule_hears_of_validations_by_the_names_of_the_logs(
    module: PretrainModule, batches: list[StoredBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[dict[str, float]] = []

    class Watching(Schedule):
        def observe(self, values: Mapping[str, float]) -> None:
            heard.append({**values})

    def build(config: object, optimizer: torch.optim.Optimizer, n_steps: int, n_steps_per_epoch: int) -> Schedule:
        return Watching(optimizer, lambda step: 1.0)

    monkeypatch.setattr(type(module.params.schedule), "build", build)
    fit(module, batches)
    hbn, tuh = losses(module.eval(), batches, Stage.VALIDATION, 0)
    assert len(heard) == 1
    assert {"val/loss", "val/loss/hbn", "val/loss/tuh", "val/r2", "val/r2/hbn"} <= set(heard[0])
    assert heard[0]["val/loss/hbn"] == pytest.approx(hbn, rel=1e-5)
    assert heard[0]["val/loss"] == pytest.approx(0.7 * hbn + 0.3 * tuh, rel=1e-5)


def test_every_logged_step_has_a_row(module: PretrainModule, batches: list[StoredBatch]) -> None:
    fit(module, batches)
    table = module.history.table()
    assert table["step"].tolist() == [5, 10]
    peak = module.params.optimizer.learning_rate
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=peak)
    schedule, rates = module.params.schedule.build(optimizer, 10, 10), []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert len(set(rates)) > 5, "the rate moves"
    assert table["lr"].tolist() == pytest.approx([rates[4], rates[9]])
    expected = 0.7 * table["loss_hbn"] + 0.3 * table["loss_tuh"]
    assert table["loss"].tolist() == pytest.approx(expected.tolist())


def test_one_micro_batch_is_in_memory_at_a_time(
    module: PretrainModule, batches: list[StoredBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graph of a micro-batch is gone before the next one is made."""
    gc.collect()
    gc.freeze()  # what other tests left is nothing to look through
    alive: list[int] = []
    graphs: list[weakref.ref[torch.Tensor]] = []
    forward = module.objective.forward

    def watched(batch: StoredBatch, context: Context) -> LossOutput:
        gc.collect()
        alive.append(sum(ref() is not None for ref in graphs))
        output = forward(batch, context)
        graphs.append(weakref.ref(output.loss))
        return output

    monkeypatch.setattr(module.objective, "forward", watched)
    fit(module, batches)
    assert alive[:20] == [0] * 20, "then comes a validation"


def test_the_objective_follows_every_optimizer_step_once(
    module: PretrainModule, batches: list[StoredBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: list[Context] = []
    monkeypatch.setattr(module.objective, "after_step", followed.append)
    fit(module, batches)
    assert [context.step for context in followed] == list(range(10))
    assert {(c.n_steps, c.seed, c.rank, c.world_size, c.stage) for c in followed} == {(10, 3, 0, 1, Stage.TRAINING)}


def test_the_gradient_is_clipped(module: PretrainModule, batches: list[StoredBatch]) -> None:
    norms: list[float] = []

    class Norms(Callback):
        def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: object) -> None:
            gradients = [p.grad.flatten() for p in pl_module.parameters() if p.grad is not None]
            norms.append(float(torch.cat(gradients).norm()))

    module.params = module.params.model_copy(update={"gradient_clip": 1e-3})
    fit(module, batches, Norms())
    assert norms == pytest.approx([1e-3] * 10, rel=1e-3)


def test_without_a_limit_the_gradient_is_left_alone(module: PretrainModule, batches: list[StoredBatch]) -> None:
    found: list[dict[str, torch.Tensor]] = []

    class Gradients(Callback):
        def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: object) -> None:
            found.append({name: p.grad.clone() for name, p in pl_module.named_parameters() if p.grad is not None})

    expected = trained(module, [step_of(batches, 0)])
    module.params = module.params.model_copy(update={"gradient_clip": None})
    fit(module, batches, Gradients())
    assert all(torch.equal(found[0][name], gradient) for name, gradient in expected.items())
    assert sum(g.square().sum() for g in expected.values()) > 1, "the default limit would shorten it"


def test_validation_sees_averaged_weights_and_training_does_not(
    module: PretrainModule, batches: list[StoredBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The average of a run is what validation looks at; the run itself is that of a run without one, bit by bit."""
    average = WeightAverageParams(decay=0.5, start_ratio=0.35)
    alone, averaging = (
        built(
            module.params.model_copy(update={"weight_average": choice}),
            NoAdapterConfig(),
            module.objective.backbone.spec,
        )
        for choice in (None, average)
    )
    averaging.load_state_dict(alone.state_dict())
    expected: list[dict[str, torch.Tensor]] = []
    seen: list[dict[str, torch.Tensor]] = []

    class Average(Callback):
        def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
            now = {name: p.detach().clone() for name, p in alone.objective.named_parameters()}
            if trainer.global_step > 3:
                mean = expected[-1] if expected else now
                expected.append({name: mean[name] + 0.5 * (now[name] - mean[name]) for name in now})

    fit(alone, batches, Average())
    forward = averaging.objective.forward

    def watched(batch: StoredBatch, context: Context) -> LossOutput:
        if context.stage == Stage.VALIDATION:
            seen.append({name: p.detach().clone() for name, p in averaging.objective.named_parameters()})
        return forward(batch, context)

    monkeypatch.setattr(averaging.objective, "forward", watched)
    fit(averaging, batches)
    assert len(expected) == 7
    for name, p in alone.objective.named_parameters():
        assert torch.equal(p, averaging.objective.get_parameter(name)), "training goes on with its own weights"
        torch.testing.assert_close(seen[-1][name], expected[-1][name])
        assert not torch.equal(seen[-1][name], p)
        with averaging.averaged_weights():
            assert torch.equal(averaging.objective.get_parameter(name), seen[-1][name])


def perceiving(module: PretrainModule, patch_s: float) -> PretrainModule:
    """The module with an adapter that has weights."""
    config = PerceiverConfig(montage="1020_19", patch_s=patch_s, d_model=16, n_heads=2)
    return built(module.params, config, module.objective.backbone.spec)


def test_the_adapter_is_trained_too(module: PretrainModule, batches: list[StoredBatch]) -> None:
    module = perceiving(module, 0.25)
    adapter = module.objective.backbone.adapter
    gradients = trained(module, [step_of(batches, 0)])
    named = [name for name in gradients if ".adapter." in name]
    assert len(named) == len(list(adapter.parameters())) > 0
    assert all(gradients[name].abs().max() > 0 for name in named)
    before = [p.detach().clone() for p in adapter.parameters()]
    fit(module, batches)
    assert all(not torch.equal(p, b) for p, b in zip(adapter.parameters(), before, strict=True))


def test_an_adapter_that_would_mix_patches_is_refused(module: PretrainModule) -> None:
    with pytest.raises(ConfigError, match=r"adapter\.patch_s 0\.4 is 40 samples.* patch of 100"):
        perceiving(module, 0.4)
