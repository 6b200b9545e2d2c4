"""Training with dropout, stochastic depth and jitter: the seed decides the weights, and global random state nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from backbones import normalized
from contracts.encoder_cases import CASES, MEMBERS, MENU, MONTAGES, RATE_HZ, Case, noise, spec_of
from eegfm.adapters.config import NoAdapterConfig
from eegfm.batch import StoredBatch, TrainStep
from eegfm.encoders.base import Encoder
from eegfm.encoders.load import new_encoder
from eegfm.encoders.traits import EncoderConfig
from eegfm.inference.backbone import new_backbone
from eegfm.nn.context import Context
from eegfm.nn.rereference import Rereference
from eegfm.nn.weights import build_seeded
from eegfm.objectives.config import MaeConfig, MaskedConfig, ObjectiveConfig
from eegfm.training.config import PretrainParams
from eegfm.training.module import PretrainModule
from eegfm.training.setup import TrainingSetup
from zoo.stand_in import braindecode_models

MONTAGE, N_SAMPLES, N_STEPS = MONTAGES[19], 800, 2
SPEC = spec_of([MONTAGE], N_SAMPLES / RATE_HZ)
SHARES = {"hbn": 0.7, "tuh": 0.3}
DRAWS_NOTHING = {"femba"}
"""Members without any choice that draws while training."""

State = dict[str, Tensor]


def drawing(case: Case, ratio: float) -> EncoderConfig:
    """The small configuration with all that draws while training at one ratio."""
    member = MEMBERS[case.member]
    knobs: dict[str, Any] = {name: ratio for name in member.model_fields if "drop" in name or "jitter" in name}
    if case.member == "braindecode":
        knobs = {"options": {"drop_prob": ratio}}
    assert bool(knobs) != (case.member in DRAWS_NOTHING), f"what does {case.member} draw while training?"
    # LaBraM's share of skipped branches rises from zero in the first layer, so a single layer skips none.
    layers = {"n_layers": 2} if "n_layers" in member.model_fields else {}
    return member.model_validate({**case.choices, **case.light, **layers, **knobs})


def stored(corpus: str, step: int) -> StoredBatch:
    """Two windows of a corpus."""
    shape = (2, N_SAMPLES, MONTAGE.n_channels)
    return {
        "samples": (1000 * noise(shape, 10 * step + len(corpus) + ord(corpus[0]))).to(torch.int16),
        "scales_uv": torch.full((2, MONTAGE.n_channels), 0.02),
        "recording": torch.arange(2),
        "corpus": corpus,
        "montage": MONTAGE.name,
    }


def pretrained(config: EncoderConfig, objective: ObjectiveConfig, seed: int) -> State:
    """Weights and statistics after a few optimizer steps of two micro-batches each."""
    params = PretrainParams(objective=objective, n_steps=N_STEPS, seed=seed, log_interval_steps=100)
    backbone = new_backbone(config, NoAdapterConfig(), SPEC, 0, reference="average", bad_channels="mask")
    module = PretrainModule(
        TrainingSetup(build_seeded(objective, 0, backbone), params, SHARES, N_STEPS + 1, N_STEPS + 1)
    )
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05)
    for step in range(N_STEPS):
        optimizer.zero_grad()
        for _, share, output in module.losses(TrainStep(step, [stored(corpus, step) for corpus in SHARES], 4)):
            (share * output.loss).backward()
        optimizer.step()
    return module.state_dict()


def supervised(config: EncoderConfig, seed: int) -> State:
    """The same for an encoder of whole windows, which no objective trains: what a finetuning will do."""
    rereference = Rereference(SPEC.montages)
    encoder = new_encoder(config, rereference.rereferenced_spec(SPEC), seed=0).train()
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.05)
    for step in range(N_STEPS):
        batch = normalized(rereference(stored("hbn", step)), encoder)
        with Context(step, seed=seed).global_draws(torch.device("cpu")):
            features = encoder.features(batch).values.mean(dim=1)
        optimizer.zero_grad()
        cross_entropy(features[:, :2], torch.tensor([0, 1])).backward()
        optimizer.step()
    return encoder.state_dict()


@contextmanager
def disturbed(state: int) -> Iterator[None]:
    """Global random state as other programs leave it; it has to come out as it went in."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(state)
        torch.rand(state)
        np.random.seed(state)  # noqa: NPY002 - global state must not matter
        before = torch.random.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
        yield
        after = torch.random.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
        assert torch.equal(before[0], after[0])
        assert before[1] == after[1]


def differing(one: State, other: State) -> list[str]:
    assert one.keys() == other.keys()
    return [name for name, value in one.items() if not torch.equal(value, other[name])]


def check(train: Callable[[EncoderConfig, int], State], case: Case) -> None:
    """Equal seeds give equal weights, other seeds others, and what is told to draw does draw."""
    with disturbed(3):
        first = train(drawing(case, 0.2), 5)
    with disturbed(4):
        assert differing(first, train(drawing(case, 0.2), 5)) == []
        assert differing(first, train(drawing(case, 0.2), 6)) or case.member in DRAWS_NOTHING
        assert differing(first, train(drawing(case, 0.0), 5)) or case.member in DRAWS_NOTHING


@pytest.mark.parametrize("case", MENU)
def test_two_trainings_with_dropout_are_one(case: Case) -> None:
    if case.member == "braindecode":
        braindecode_models()
    if MEMBERS[case.member].traits.output == "window":
        check(supervised, case)
    else:
        check(lambda config, seed: pretrained(config, MaskedConfig(target="signal", allow_leaks=True), seed), case)


@pytest.mark.parametrize("name", ["patch_transformer", "labram"])
def test_so_are_two_that_encode_visible_patches_only(name: str) -> None:
    check(lambda config, seed: pretrained(config, MaeConfig(target="signal"), seed), CASES[name])


def test_the_check_notices_draws_from_global_state(monkeypatch: pytest.MonkeyPatch) -> None:
    class Draws(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * torch.rand(())

    def train(_: EncoderConfig, seed: int) -> State:
        return {"w": Draws()(torch.ones(2)) + seed}

    with pytest.raises(AssertionError):
        check(train, CASES["patch_transformer"])


def test_evaluation_draws_nothing() -> None:
    encoder: Encoder = new_encoder(drawing(CASES["patch_transformer"], 0.2), SPEC, seed=0).eval()
    batch = Rereference(SPEC.montages)(stored("hbn", 0))
    with disturbed(1), torch.no_grad():
        first = encoder(batch)
    with disturbed(2), torch.no_grad():
        assert torch.equal(encoder(batch), first)
