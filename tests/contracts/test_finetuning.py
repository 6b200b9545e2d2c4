"""Every strategy with every encoder, head and kind of answer: trained, published, loaded again, and what is refused.

By default each pair of two choices is trained in some case. Families stand for encoders there, unless a strategy takes
them apart, and strategies meet heads whatever they pool. ``EEGFM_FINETUNE=full`` trains every combination.
"""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Trainer

from answered_store import TARGETS, answered_task, answered_windows, start_of, tuning
from contracts.finetuning_cases import (
    ENCODERS,
    HEADS,
    IS_FULL,
    KINDS,
    OF_LAYERS,
    REFUSED,
    STRATEGIES,
    Case,
    all_cases,
    covering,
)
from eegfm.adapters.load import PREFIX as ADAPTER_PREFIX
from eegfm.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from eegfm.encoders.load import PREFIX as ENCODER_PREFIX
from eegfm.errors import ConfigError
from eegfm.inference.table_loader import TableLoader
from eegfm.jobs.train.finetuning import FinetuningTask, finetuning
from eegfm.jobs.weights.answering import load_supervised
from eegfm.nn.lora import lora_parameters
from eegfm.store.reader import SignalStore
from eegfm.training.supervised.module import SupervisedModule
from eegfm.training.supervised.predicting import predict
from eegfm.training.trainer import quieten
from zoo.stand_in import braindecode_models

CASES = list(all_cases()) if IS_FULL else covering()
REFUSED_CASES = [
    next(
        Case(s, e, h, k)
        for s in ("full", *STRATEGIES)
        for h in ("linear", *HEADS)
        for k in ("multilabel", *KINDS)
        for e in ENCODERS
        if pair in Case(s, e, h, k).pairs and len(Case(s, e, h, k).pairs & REFUSED.keys()) == 1
    )
    for pair in REFUSED
]


def marked(cases: list[Case]) -> list[Any]:
    """Braindecode's models need packages that may be absent."""
    marks = {case: [pytest.mark.zoo] if case.encoder == "braindecode" else [] for case in cases}
    return [pytest.param(case, id=" ".join(case), marks=marks[case]) for case in cases]


@pytest.fixture(scope="module")
def tasks(answered: SignalStore) -> dict[str, FinetuningTask]:
    store, windows = answered, answered_windows()
    return {kind: answered_task(store, kind, windows) for kind in TARGETS}


_STARTS: dict[str, Checkpoint] = {}


def start(encoder: str) -> Checkpoint:
    """The encoder of a case, made once."""
    if encoder == "braindecode":
        braindecode_models()
    if encoder not in _STARTS:
        _STARTS[encoder] = start_of(ENCODERS[encoder])
    return _STARTS[encoder]


def build(case: Case, task: FinetuningTask) -> tuple[SupervisedModule, Any]:
    blocks = case.strategy == "gradual-blocks"
    changes = {"batch_size": 36, "n_epochs": 6 if blocks else 2, "optimizer": {"name": "adamw", "learning_rate": 1e-2}}
    asked = tuning(strategy=STRATEGIES[case.strategy], head=HEADS[case.head], **changes)
    return finetuning(asked, task, start=start(case.encoder), seed=1)


def test_the_default_cases_hold_every_pair() -> None:
    wanted = set().union(*(case.pairs for case in all_cases()))
    default = covering()
    assert set().union(*(case.covered for case in all_cases())) == set().union(*(case.covered for case in default))
    assert {(case.strategy, case.encoder) for case in default} >= {
        pair for pair in product(OF_LAYERS, ENCODERS) if pair not in REFUSED
    }
    n_choices = len(STRATEGIES), len(ENCODERS), len(HEADS), len(KINDS)
    n_pairs = sum(a * b for k, a in enumerate(n_choices) for b in n_choices[:k])
    assert len(wanted) == n_pairs - len(REFUSED)


@pytest.mark.parametrize("case", marked(REFUSED_CASES))
def test_what_does_not_go_together_is_refused_in_one_line(case: Case, tasks: dict[str, FinetuningTask]) -> None:
    assert case.refused is not None
    with pytest.raises(ConfigError) as raised:
        build(case, tasks[case.kind])
    assert case.refused in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("case", marked(CASES))
def test_trained_published_and_loaded_again(case: Case, tasks: dict[str, FinetuningTask], tmp_path: Path) -> None:
    task = tasks[case.kind]
    module, data = build(case, task)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    quieten()
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    module.eval()
    published = module.checkpoint()
    save_checkpoint(tmp_path / "one.safetensors", published)
    loaded = load_supervised(load_checkpoint(tmp_path / "one.safetensors"))
    check_weights(case, module, before, published)
    check_answers(case, task, module, loaded)


def check_weights(case: Case, module: SupervisedModule, before: dict[str, torch.Tensor], published: Checkpoint) -> None:
    """What is frozen has not moved by a bit; the head, and what else is trained, has."""
    after = module.state_dict()
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    trained = {name for name, value in module.named_parameters() if value.requires_grad}
    is_backbone = {name: name.startswith("objective.backbone.") for name in after}
    assert any("objective.head." in name for name in moved)
    of_encoder = [name for name in moved if is_backbone[name]]
    changes = set(lora_parameters(module))
    if case.strategy == "linear_probe":
        assert of_encoder == []
        of_start = start(case.encoder).tensors
        same = {n: v for n, v in published.tensors.items() if n.startswith((ENCODER_PREFIX, ADAPTER_PREFIX))}
        assert same.keys() == of_start.keys()
        assert all(np.array_equal(value, of_start[name]) for name, value in same.items())
    elif case.strategy == "lora":
        assert of_encoder
        assert {*of_encoder} <= changes
        assert {name for name in trained if is_backbone[name]} == changes
        assert {n for n in published.tensors if n.startswith(ENCODER_PREFIX)} == {*start(case.encoder).tensors}
    else:
        assert not changes
        assert of_encoder, "the encoder is trained in the end"


def check_answers(case: Case, task: FinetuningTask, module: SupervisedModule, loaded: SupervisedModule) -> None:
    """The loaded model says what the module says, and what it says has the shape of the kind of answer."""
    [placed] = list(TableLoader(task.stores["mine"], task.windows.tail(24), 24))
    found = predict(loaded, TableLoader(task.stores["mine"], task.windows.tail(24), 10), accelerator="cpu").said
    with torch.no_grad():
        said = module(placed.batch).double().numpy()
        logits = module.supervised.logits(placed.batch).double()
    assert found.shape == (24, *task.target.output_shape)
    assert np.isfinite(found).all()
    tolerance = 1e-5 * (1.0 if task.target.kind != "regression" else 10.0)
    np.testing.assert_allclose(found, said, rtol=1e-5, atol=tolerance)
    if task.target.kind in ("binary", "multiclass", "multioutput"):
        np.testing.assert_allclose(found.sum(axis=-1), 1.0, atol=1e-6)
    elif task.target.kind == "multilabel":
        assert ((found >= 0) & (found <= 1)).all()
    else:
        # Numbers come in the unit of the answers. One epoch of a deep network at this rate says large ones.
        in_unit = logits * module.supervised.sd.double() + module.supervised.mean.double()
        np.testing.assert_allclose(found, in_unit, rtol=1e-5, atol=tolerance)
