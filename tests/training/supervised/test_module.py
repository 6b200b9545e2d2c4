"""The supervised module in a trainer: its steps, its keys, and metrics of all windows of an epoch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
    roc_auc_score,
)

from answered_store import TARGETS, answered_task, start_of, tuning
from eegfm.batch import TrainStep
from eegfm.jobs.train.finetuning import FinetuningTask, finetuning
from eegfm.metrics.names import metric_names
from eegfm.objectives.supervised.model import truths_of
from eegfm.store.reader import SignalStore
from eegfm.training.supervised.module import SupervisedModule
from eegfm.training.trainer import quieten

Found = NDArray[np.float64]
SCORES: dict[str, dict[str, Callable[[Any, Any], float]]] = {
    "binary": {
        "accuracy": lambda y, p: accuracy_score(y, p.argmax(1)),
        "balanced_accuracy": lambda y, p: balanced_accuracy_score(y, p.argmax(1)),
        "f1": lambda y, p: f1_score(y, p.argmax(1), average="macro"),
        "auroc": lambda y, p: roc_auc_score(y, p[:, 1]),
    },
    "multiclass": {
        "balanced_accuracy": lambda y, p: balanced_accuracy_score(y, p.argmax(1)),
        "auroc": lambda y, p: roc_auc_score(y, p, multi_class="ovr"),
    },
    "multilabel": {
        "auroc": lambda y, p: roc_auc_score(y, p, average="macro"),
        "auprc": lambda y, p: average_precision_score(y, p, average="macro"),
    },
    "multioutput": {
        "balanced_accuracy": lambda y, p: np.mean(
            [balanced_accuracy_score(y[:, k], p[:, k].argmax(1)) for k in range(y.shape[1])]
        )
    },
    "regression": {"mae": mean_absolute_error, "mse": mean_squared_error, "r2": r2_score},
    "regressions": {"mae": mean_absolute_error, "r2": r2_score},
}  # fmt: skip


@pytest.fixture(scope="module")
def tasks(answered: SignalStore) -> dict[str, FinetuningTask]:
    return {kind: answered_task(answered, kind) for kind in TARGETS}


def trainer(*callbacks: Callback, **more: Any) -> Trainer:
    quieten()
    return Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, callbacks=list(callbacks), **more,
    )  # fmt: skip


def noting(stage: str) -> Callable[..., None]:
    """A hook behind the batches of a stage."""

    def note(said: "Said", trainer: Trainer, module: LightningModule, outputs: Any, batch: TrainStep, *_: int) -> None:
        said.note(stage, module, batch)

    return note


class Said(Callback):
    """Notes what was said and what was right, batch by batch, and which mode the module is in."""

    on_train_batch_end, on_validation_batch_end, on_test_batch_end = map(noting, ("train", "val", "test"))

    def __init__(self) -> None:
        self.parts: dict[str, list[tuple[Found, Found]]] = {}
        self.trains: set[bool] = set()

    def note(self, stage: str, module: LightningModule, step: TrainStep) -> None:
        assert isinstance(module, SupervisedModule)
        if stage != "train":
            self.trains.add(module.training)
        said = module.supervised.said
        assert said is not None
        truths = truths_of(step.batches[-1]["targets"], module.supervised.target)
        self.parts.setdefault(stage, []).append((truths.double().numpy(), said.double().numpy()))

    def all(self, stage: str) -> tuple[Found, Found]:
        truths, said = (np.concatenate(parts) for parts in zip(*self.parts[stage], strict=True))
        return truths, said


@pytest.mark.parametrize("kind", TARGETS)
def test_metrics_of_uneven_batches_are_those_of_all_windows(kind: str, tasks: dict[str, FinetuningTask]) -> None:
    """18 windows of a validation in batches of 15 and 3. Batches of a training are whole: 36 windows make 3 of 15."""
    module, data = finetuning(tuning(batch_size=15), tasks[kind], start=start_of(), seed=2)
    said = Said()
    done = trainer(said)
    done.fit(module, datamodule=data)
    found = {name: float(value) for name, value in done.callback_metrics.items()}
    sizes = [len(truths) for truths, _ in said.parts["val"]]
    assert sum(sizes) == 18
    assert len(set(sizes)) > 1, sizes
    for stage, n_windows in (("val", 18), ("train", 45)):
        truths, answers = said.all(stage)
        assert len(truths) == n_windows
        for name, score in SCORES[kind].items():
            assert found[f"{stage}/{name}"] == pytest.approx(score(truths, answers), abs=1e-5), (stage, name)
    names = metric_names(TARGETS[kind])
    assert {f"{stage}/{name}" for stage in ("train", "val") for name in names} <= found.keys()
    assert said.trains == {False}


def test_keys_and_the_predecessors_names_of_them(tasks: dict[str, FinetuningTask]) -> None:
    module, data = finetuning(tuning(), tasks["binary"], start=start_of())
    stop = EarlyStopping("val_auroc", mode="max", patience=1)
    done = trainer(stop)
    done.fit(module, datamodule=data)
    found = {name: float(value) for name, value in done.callback_metrics.items()}
    aliases = {
        "train_loss": "train/loss", "val_loss": "val/loss", "val_acc": "val/accuracy", "val_auroc": "val/auroc",
        "val_balanced_acc": "val/balanced_accuracy", "val_aupr": "val/auprc", "val_f1_score": "val/f1",
    }  # fmt: skip
    assert {alias: found[alias] for alias in aliases} == {alias: found[key] for alias, key in aliases.items()}
    assert float(stop.best_score) == found["val/auroc"]


def test_a_test_gives_its_own_keys(tasks: dict[str, FinetuningTask]) -> None:
    module, data = finetuning(tuning(), tasks["binary"], start=start_of())
    said = Said()
    done = trainer(said)
    done.test(module, dataloaders=data.val_dataloader(), verbose=False)
    found = {name: float(value) for name, value in done.callback_metrics.items()}
    truths, answers = said.all("test")
    for name, score in SCORES["binary"].items():
        assert found[f"test/{name}"] == pytest.approx(score(truths, answers), abs=1e-5), name
    losses = -np.log(np.take_along_axis(answers, truths[:, None].astype(int), axis=1))
    assert found["test/loss"] == found["test_loss"] == pytest.approx(losses.mean(), rel=1e-5)
    assert {"test_acc", "test_balanced_acc", "test_auroc", "test_aupr", "test_precision", "test_f1_score"} <= {*found}


def test_two_epochs_are_scored_apart(tasks: dict[str, FinetuningTask]) -> None:
    """The windows of the first epoch do not count in the second one."""
    module, data = finetuning(tuning(batch_size=36, n_epochs=2), tasks["binary"], start=start_of())
    said = Said()
    trained: list[float] = []

    class Trained(Callback):
        def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            trained.append(float(trainer.callback_metrics["train/auroc"]))

    trainer(said, Trained(), val_check_interval=1).fit(module, datamodule=data)
    for (truths, answers), found in zip(said.parts["train"], trained, strict=True):
        assert found == pytest.approx(roc_auc_score(truths, answers[:, 1]), abs=1e-6)
    history = module.history.table().set_index("step")
    for epoch in (0, 1):
        for stage, n_parts in (("val", len(said.parts["val"]) // 2),):
            own = said.parts[stage][epoch * n_parts : (epoch + 1) * n_parts]
            truths, answers = (np.concatenate(parts) for parts in zip(*own, strict=True))
            score = balanced_accuracy_score(truths, answers.argmax(axis=1))
            name = f"{stage}_balanced_accuracy"
            found = history.loc[epoch + 1, name]
            assert found == pytest.approx(score, abs=1e-6), (epoch, stage)


def test_averaged_weights_are_validated_and_published(tasks: dict[str, FinetuningTask]) -> None:
    average = {"decay": 0.5, "start_ratio": 0.0}
    module, data = finetuning(tuning(batch_size=12, weight_average=average), tasks["binary"], start=start_of())
    said = Said()
    trainer(said).fit(module, datamodule=data)
    assert said.trains == {False}
    own = {f"objective.{name}": value for name, value in module.supervised.head.named_parameters(prefix="head")}
    published = module.checkpoint().tensors
    assert own.keys() <= published.keys()
    assert any(not np.array_equal(published[name], value.detach().numpy()) for name, value in own.items())
    truths, answers = said.all("val")
    loss = -np.log(np.take_along_axis(answers, truths[:, None].astype(int), axis=1)).mean()
    assert module.validation_values["val/loss"] == pytest.approx(loss, rel=1e-5)
    module.eval()
    with torch.no_grad(), module.averaged_weights():
        batches = [batch for step in data.val_dataloader() for batch in step.batches]
        averaged = np.concatenate([module(batch).double().numpy() for batch in batches])
    np.testing.assert_allclose(averaged, answers, atol=1e-6)


def test_features_and_answers_of_a_table(tasks: dict[str, FinetuningTask]) -> None:
    from eegfm.inference.table_loader import TableLoader

    module, _ = finetuning(tuning(), tasks["multilabel"], start=start_of())
    module.eval()
    [placed] = list(TableLoader(tasks["multilabel"].stores["mine"], tasks["multilabel"].windows.tail(9), 9))
    with torch.no_grad():
        found, encoded = module.predict_step(placed, 0), module.objective.backbone(placed.batch)
        torch.testing.assert_close(found.said, module(placed.batch))
    torch.testing.assert_close(found.features, encoded.features.values)
    assert found.said.shape == (9, 4)
    assert torch.equal(found.mask, encoded.features.mask)
    assert found.places.tolist() == list(range(9))
