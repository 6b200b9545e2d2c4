"""A step whose micro-batches are cut has the windows, the masks and the gradient of the uncut one."""

from typing import Any

import numpy as np
import pytest
import torch
from lightning import Trainer
from numpy.typing import NDArray

from eegfm.adapters.config import NoAdapterConfig
from eegfm.batch import SignalSpec, StoredBatch, TrainStep, WindowIndex, rank_slice
from eegfm.encoders.config import PatchTransformerConfig
from eegfm.inference.backbone import new_backbone
from eegfm.nn.context import Context
from eegfm.objectives.base import LossOutput
from eegfm.objectives.config import MaeConfig, MaskedConfig
from eegfm.recording import Montage
from eegfm.training.config import PretrainParams
from eegfm.training.loading.training_loader import TrainingLoader
from eegfm.training.logs.throughput import ThroughputMonitor
from eegfm.training.module import PretrainModule
from eegfm.training.plans.mixture_plan import MixturePlan
from eegfm.training.setup import TrainingSetup
from eegfm.training.trainer import quieten
from training.conftest import MemoryStore

WEIGHTS = {"hbn": 0.6, "tuh": 0.4}
BATCH_SIZE, N_SAMPLES, N_RECORDINGS = 20, 1200, 4
OBJECTIVES = [MaskedConfig(), MaskedConfig(target="signal"), MaeConfig(), MaeConfig(mask={"name": "random"})]


class NoisyStore(MemoryStore):
    """Recordings of noise, some channels of which are bad."""

    def __init__(self, montage: Montage, seed: int, is_bad: NDArray[np.bool_]) -> None:
        super().__init__([montage], N_RECORDINGS, N_SAMPLES)
        shape = (N_RECORDINGS * N_SAMPLES, montage.n_channels)
        self.rows = np.random.default_rng(seed).integers(-2000, 2000, shape).astype(np.int16)
        self.bad = is_bad

    def gather(
        self, montage: str, rows: NDArray[np.int64], n_samples: int, out: NDArray[np.int16] | None = None
    ) -> NDArray[np.int16]:
        found = self.rows[rows[:, None] + np.arange(n_samples)]
        if out is None:
            return found
        out[...] = found
        return out

    def scales(self, montage: str) -> NDArray[np.float32]:
        return np.full(self.bad.shape, 0.02, dtype=np.float32)

    def is_bad(self, montage: str) -> NDArray[np.bool_]:
        return self.bad


@pytest.fixture(params=[False, True], ids=["all good", "some bad"])
def stores(small: Montage, large: Montage, request: pytest.FixtureRequest) -> dict[str, NoisyStore]:
    bad = {"hbn": np.zeros((N_RECORDINGS, 5), dtype=bool), "tuh": np.zeros((N_RECORDINGS, 3), dtype=bool)}
    if request.param:
        bad["hbn"][1, [0, 3]] = True
    return {"hbn": NoisyStore(large, 0, bad["hbn"]), "tuh": NoisyStore(small, 1, bad["tuh"])}


@pytest.fixture
def plan(small: Montage, large: Montage) -> MixturePlan:
    recordings = np.arange(N_RECORDINGS, dtype=np.int32)
    groups = {
        corpus: [
            WindowIndex(
                corpus, montage.name, n_samples, n_samples, (recordings * N_SAMPLES).astype(np.int64), recordings,
                recordings, ((recordings + 1) * (N_SAMPLES // n_samples)).astype(np.int64),
            )
        ]
        for corpus, montage, n_samples in (("hbn", large, 200), ("tuh", small, 400))
    }  # fmt: skip
    return MixturePlan(groups, WEIGHTS, BATCH_SIZE, seed=2, n_cuts=4)


def built(objective: Any, small: Montage, large: Montage, **changes: Any) -> PretrainModule:
    params = PretrainParams(
        encoder=PatchTransformerConfig(d_model=16, head_size=8, n_layers=1), objective=objective, n_steps=3, **changes
    )
    spec = SignalSpec(100.0, {m.name: m for m in (small, large)}, {small.name: 400, large.name: 200})
    backbone = new_backbone(params.encoder, NoAdapterConfig(), spec, 0, reference="average", bad_channels="mask")
    torch.manual_seed(0)
    return PretrainModule(TrainingSetup(params.objective.build(backbone), params, WEIGHTS, 3, 3))


def steps(plan: MixturePlan, stores: Any, n_cuts: int) -> list[TrainStep]:
    return list(TrainingLoader(plan, stores, 3, n_cuts=n_cuts))


@pytest.mark.parametrize("n_cuts", [2, 4])
def test_cuts_are_slices_of_the_micro_batches_of_one_size(plan: MixturePlan, stores: Any, n_cuts: int) -> None:
    for whole, cut in zip(steps(plan, stores, 1), steps(plan, stores, n_cuts), strict=True):
        assert (cut.number, cut.n_windows, cut.n_cuts) == (whole.number, BATCH_SIZE, n_cuts)
        assert len(cut.batches) == n_cuts * len(whole.batches)
        for k, batch in enumerate(whole.batches):
            parts = cut.batches[n_cuts * k : n_cuts * (k + 1)]
            assert {len(part["samples"]) for part in parts} == {len(batch["samples"]) // n_cuts}
            for c, part in enumerate(parts):
                own = rank_slice(c, n_cuts)
                assert torch.equal(part["samples"], batch["samples"][own])
                assert torch.equal(part["recording"], batch["recording"][own])
                assert (part["corpus"], part["montage"]) == (batch["corpus"], batch["montage"])


def gradient(module: PretrainModule, step: TrainStep) -> dict[str, torch.Tensor]:
    module.zero_grad()
    for _, share, output in module.losses(step):
        (share * output.loss).backward()
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: f"{o.name}-{getattr(o, 'visible', o.target)}")
def test_the_gradient_is_that_of_the_uncut_step(
    plan: MixturePlan, stores: Any, small: Montage, large: Montage, objective: Any
) -> None:
    module = built(objective, small, large)
    whole = steps(plan, stores, 1)
    for n_cuts in (2, 4):
        for uncut, cut in zip(whole[1:], steps(plan, stores, n_cuts)[1:], strict=True):
            expected, found = gradient(module, uncut), gradient(module, cut)
            assert found.keys() == expected.keys()
            for name, value in expected.items():
                torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-5 * float(value.abs().max()))


def test_cuts_of_ranks_have_the_gradient_of_one_process(
    plan: MixturePlan, stores: Any, small: Montage, large: Montage, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = built(MaskedConfig(), small, large)
    expected = gradient(module, steps(plan, stores, 1)[2])
    groups = {order: [plan.step(0)[k].group] for k, order in enumerate(("hbn", "tuh"))}
    monkeypatch.setattr(PretrainModule, "world_size", 2)
    found = []
    for rank in (0, 1):
        own = MixturePlan(groups, WEIGHTS, BATCH_SIZE, seed=2, rank=rank, world_size=2)
        monkeypatch.setattr(PretrainModule, "rank", rank)
        step = steps(own, stores, 2)[2]
        found.append(gradient(module, step))
    for name, value in expected.items():
        mean = (found[0][name] + found[1][name]) / 2
        torch.testing.assert_close(mean, value, rtol=1e-5, atol=1e-5 * float(value.abs().max()))


def test_cuts_drop_their_own(plan: MixturePlan, stores: Any, small: Montage, large: Montage) -> None:
    module, drawn = built(MaskedConfig(), small, large), list[tuple[float, ...]]()

    def draw(batch: StoredBatch, context: Context) -> LossOutput:
        drawn.append(tuple(torch.rand(4).tolist()))
        return LossOutput(torch.zeros(()), {})

    module.objective.forward = draw  # type: ignore[method-assign]
    whole, cut = steps(plan, stores, 1)[0], steps(plan, stores, 2)[0]
    list(module.losses(whole))
    list(module.losses(cut))
    assert len(set(drawn)) == 4, "the first cut draws what the whole micro-batch does"
    assert drawn[0] == drawn[2]


def test_one_optimizer_step_follows_all_cuts(
    plan: MixturePlan, stores: Any, small: Montage, large: Montage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three steps end at the weights of three uncut steps; steps, windows and logs are counted alike."""
    quieten()
    ends: list[dict[str, torch.Tensor]] = []
    tables, followed = [], []
    for n_cuts in (1, 4):
        module = built(MaeConfig(), small, large, accumulate=n_cuts, log_interval_steps=1)
        monkeypatch.setattr(module.objective, "after_step", followed.append)
        monitor = ThroughputMonitor()
        trainer = Trainer(
            max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, callbacks=[monitor], limit_val_batches=0, log_every_n_steps=1,
        )  # fmt: skip
        trainer.fit(module, TrainingLoader(plan, stores, 3, n_cuts=n_cuts), steps(plan, stores, 1))
        assert trainer.global_step == 3
        assert monitor.n_windows == {"hbn": 36, "tuh": 24}
        ends.append(module.state_dict())
        tables.append(module.history.table())
    assert [context.step for context in followed] == [0, 1, 2, 0, 1, 2]
    for name, value in ends[0].items():
        torch.testing.assert_close(ends[1][name], value, rtol=1e-3, atol=1e-4)
    assert tables[1]["step"].tolist() == tables[0]["step"].tolist() == [1, 2, 3]
    for name in tables[0]:
        assert tables[1][name].tolist() == pytest.approx(tables[0][name].tolist(), rel=1e-4, nan_ok=True)
