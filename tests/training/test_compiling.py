"""Compiled encoders: the results of uncompiled ones, a graph per montage, and an error where one cannot be had."""

import copy
import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from lightning import Trainer
from torch import Tensor, nn

from eegfm.adapters.config import NoAdapterConfig
from eegfm.batch import SignalSpec, StoredBatch, TrainStep
from eegfm.encoders.config import AnyEncoderConfig, GruConfig, PatchTransformerConfig
from eegfm.errors import TrainingError
from eegfm.inference.backbone import new_backbone
from eegfm.nn.weights import build_seeded
from eegfm.objectives.config import AnyObjectiveConfig, JepaConfig, MaeConfig, MaskedConfig
from eegfm.recording import Montage
from eegfm.training import compiling
from eegfm.training.compiling import METHODS, compiled
from eegfm.training.config import PretrainParams
from eegfm.training.module import PretrainModule
from eegfm.training.optimizers.config import AdamWConfig
from eegfm.training.setup import TrainingSetup
from eegfm.training.trainer import quieten

BACKEND = os.environ.get("EEGFM_COMPILE", "eager")
"""``inductor`` makes code as users get it, a minute for each test; ``eager`` runs the graphs as they are."""
N_STEPS = 4
SMALL = {"d_model": 16, "head_size": 8, "n_layers": 2}


class Counted:
    """A compiler that counts its graphs."""

    def __init__(self) -> None:
        self.n_graphs = 0

    def __call__(self, graph: Any, inputs: Any) -> Any:
        """Take a graph; compile it with the backend, or run it as it is."""
        self.n_graphs += 1
        if BACKEND == "eager":
            return graph.forward
        return torch._dynamo.lookup_backend(BACKEND)(graph, inputs)


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counted]:
    found = Counted()
    monkeypatch.setattr(compiling, "BACKEND", found)
    yield found
    torch.compiler.reset()


def stored(montage: Montage, size: int, seed: int, *, bad: bool = False) -> StoredBatch:
    shape = (size, 200, montage.n_channels)
    samples = torch.randint(-2000, 2000, shape, generator=torch.Generator().manual_seed(seed)).to(torch.int16)
    batch: StoredBatch = {
        "samples": samples,
        "scales_uv": torch.full((size, montage.n_channels), 0.02),
        "recording": torch.arange(size),
        "corpus": {3: "tuh"}.get(montage.n_channels, "hbn"),
        "montage": montage.name,
    }
    if bad:
        batch["is_bad"] = torch.arange(size * montage.n_channels).view(size, -1).numpy() == 1
    return batch


class Steps(torch.utils.data.IterableDataset[TrainStep]):
    """Steps of two montages."""

    def __init__(self, montages: list[Montage], n_steps: int, sizes: tuple[int, int] = (3, 2)) -> None:
        self.montages, self.n_steps, self.sizes = montages, n_steps, sizes

    def __iter__(self) -> Iterator[TrainStep]:
        for number in range(self.n_steps):
            parts = zip(self.montages, self.sizes, strict=True)
            yield TrainStep(number, [stored(m, n, number) for m, n in parts], sum(self.sizes))

    def __len__(self) -> int:
        return self.n_steps


def trained(
    montages: list[Montage], encoder: AnyEncoderConfig, objective: AnyObjectiveConfig, *, compiles: bool
) -> PretrainModule:
    """A module after a few steps and a validation whose batches are shorter."""
    spec = SignalSpec(100.0, {m.name: m for m in montages}, {m.name: 200 for m in montages})
    # Adam would make whole steps of the rounding errors of a bias of keys, which softmax cancels.
    optimizer = AdamWConfig(eps=1e-4)
    params = PretrainParams(
        encoder=encoder, objective=objective, optimizer=optimizer, n_steps=N_STEPS, compile=compiles
    )
    backbone = new_backbone(encoder, NoAdapterConfig(), spec, 0, reference="average", bad_channels="mask")
    built = build_seeded(objective, 0, backbone)
    module = PretrainModule(TrainingSetup(built, params, {"hbn": 0.6, "tuh": 0.4}, N_STEPS, N_STEPS))
    quieten()
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(module, Steps(montages, N_STEPS), Steps(montages, 1, (1, 1)))
    return module


FULL = pytest.mark.skipif(os.environ.get("EEGFM_OBJECTIVES") != "full", reason="EEGFM_OBJECTIVES=full")


@pytest.mark.parametrize(
    ("encoder", "objective", "n_graphs"),
    [
        # Two halves, two montages, training and validation; untouched windows of a validation come without masks.
        (PatchTransformerConfig(**SMALL), MaeConfig(mask_ratio=0.4), 10),
        (GruConfig(d_model=16, n_layers=1), MaskedConfig(), 10),
        pytest.param(PatchTransformerConfig(**SMALL), MaskedConfig(), 10, marks=FULL),
        pytest.param(PatchTransformerConfig(**SMALL), JepaConfig(), 18, marks=FULL),  # the teacher's, too
    ],
    ids=["mae", "gru", "masked", "jepa"],
)
def test_a_compiled_training_is_the_same(
    small: Montage,
    large: Montage,
    compiler: Counted,
    encoder: AnyEncoderConfig,
    objective: AnyObjectiveConfig,
    n_graphs: int,
) -> None:
    plain = trained([large, small], encoder, objective, compiles=False)
    assert compiler.n_graphs == 0
    module = trained([large, small], encoder, objective, compiles=True)
    assert compiler.n_graphs == n_graphs
    assert not set(METHODS) & set(module.get_encoder().__dict__), "it is left as it was"
    assert module.state_dict().keys() == plain.state_dict().keys(), "names are those of the uncompiled one"
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, plain.state_dict()[name], rtol=1e-4, atol=1e-5, msg=name)
    for name, value in module.validation_values.items():
        assert value == pytest.approx(plain.validation_values[name], rel=1e-4), name


def test_bad_channels_have_graphs_of_their_own(small: Montage, compiler: Counted) -> None:
    spec = SignalSpec(100.0, {small.name: small}, {small.name: 200})
    backbone = new_backbone(
        PatchTransformerConfig(**SMALL), NoAdapterConfig(), spec, 0, reference="as_recorded", bad_channels="mask"
    )
    batches = [stored(small, 2, k, bad=bad) for k, bad in enumerate((False, True, False, True))]
    expected = [backbone(batch).vectors for batch in batches]
    with compiled(backbone.encoder, 1):
        found = [backbone(batch).vectors for batch in batches]
        copied = copy.deepcopy(backbone.state_dict())
    assert copied.keys() == backbone.state_dict().keys()
    assert compiler.n_graphs == 2
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


class Asks(nn.Module):
    """What waits for a value, which no graph does."""

    def forward(self, x: Tensor) -> Tensor:
        """Change the sign of what is negative on the whole."""
        return x if float(x.detach().sum()) > 0 else -x


def test_what_cannot_be_compiled_is_one_line(small: Montage, compiler: Counted) -> None:
    spec = SignalSpec(100.0, {small.name: small}, {small.name: 200})
    backbone = new_backbone(
        PatchTransformerConfig(**SMALL), NoAdapterConfig(), spec, 0, reference="as_recorded", bad_channels="mask"
    )
    backbone.encoder.final_norm = Asks()
    line = r"^compile is true, and torch cannot compile PatchTransformer\.e.*set compile=false$"
    with compiled(backbone.encoder, 1), pytest.raises(TrainingError, match=line):
        backbone(stored(small, 2, 0))
    backbone(stored(small, 2, 0))


def test_shapes_that_never_repeat_are_an_error(
    small: Montage, compiler: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "_GRAPHS_PER_MONTAGE", 1)
    spec = SignalSpec(100.0, {small.name: small}, {small.name: 200})
    backbone = new_backbone(
        PatchTransformerConfig(**SMALL), NoAdapterConfig(), spec, 0, reference="as_recorded", bad_channels="mask"
    )
    batches = [stored(small, size, 0) for size in range(1, 6)]
    refused = pytest.raises(TrainingError, match=r"^compile is true.*set compile=false$")
    # Not with monkeypatch: it takes options that torch looks up on demand away afterwards.
    with torch._dynamo.config.patch(recompile_limit=2), compiled(backbone.encoder, 1), refused:
        list(map(backbone, batches))
