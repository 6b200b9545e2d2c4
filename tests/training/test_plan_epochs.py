"""Epochs are passes of the plan, although Lightning sees one epoch."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from lightning import Callback, LightningModule, Trainer

from eegfm.batch import TrainStep
from eegfm.training.plan_epochs import PlanCallback
from eegfm.training.trainer import quieten

N_PER_EPOCH = 4
WHOLE_RUN = [
    *("start 0", 0, 1, 2, 3, "end 0", "start 1", 4, 5, 6, 7, "end 1"),
    *("start 2", 8, 9, 10, 11, "end 2", "start 3", 12, 13, "end 3"),
]
"""Three epochs, and half of a fourth."""


class Module(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.n_steps, self.n_steps_per_epoch = 14, N_PER_EPOCH
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.calls: list[str | int] = []

    def training_step(self, step: TrainStep, batch_idx: int) -> None:
        self.optimizers().step()  # type: ignore[union-attr]
        self.calls.append(step.number)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


class Heard(PlanCallback):
    lightnings = 0

    def on_plan_epoch_start(self, trainer: Trainer, module: LightningModule, epoch: int) -> None:
        module.calls.append(f"start {epoch}")  # type: ignore[union-attr,operator]

    def on_plan_epoch_end(self, trainer: Trainer, module: LightningModule, epoch: int) -> None:
        module.calls.append(f"end {epoch}")  # type: ignore[union-attr,operator]

    def on_train_epoch_start(self, *_: Any) -> None:
        self.lightnings += 1


class Steps:
    def __init__(self, first: int, last: int) -> None:
        self.steps = range(first, last)

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[TrainStep]:
        return (TrainStep(number, [], 0) for number in self.steps)


def calls(*callbacks: Callback, first: int = 0, last: int = 14) -> list[str | int]:
    quieten()
    module = Module()
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=list(callbacks),
    )  # fmt: skip
    trainer.fit(module, Steps(first, last))
    return module.calls


def test_epochs_of_the_plan_begin_and_end_once_each() -> None:
    heard = Heard()
    assert calls(heard) == WHOLE_RUN
    assert heard.lightnings == 1


@pytest.mark.parametrize("n_done", [1, 3, 4, 5, 8, 13])
@pytest.mark.parametrize("is_saved_first", [True, False], ids=["saved before the turn", "saved after the turn"])
def test_a_run_that_goes_on_hears_what_is_left(n_done: int, is_saved_first: bool) -> None:
    heard, saved = Heard(), list[dict[str, Any]]()

    class Save(Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            saved.append(heard.state_dict())

    before = calls(*([Save(), heard] if is_saved_first else [heard, Save()]), last=n_done)
    if is_saved_first and n_done % N_PER_EPOCH == 0:
        before.pop()  # its turn comes when the run goes on
    again = Heard()
    again.load_state_dict(saved[-1])
    assert before + calls(again, first=n_done) == WHOLE_RUN


def test_a_run_without_a_state_begins_where_it_is() -> None:
    assert calls(Heard(), first=6, last=9) == ["start 1", 6, 7, "end 1", "start 2", 8]
