"""Values of steps and epochs, against plain loops over all that was logged."""

import random
from typing import Any

import pytest
import torch

from eegfm.training.logs.pending import Pending
from eegfm.training.logs.training_log import TrainingLog, means

WEIGHTS = {"hbn": 0.75, "tuh": 0.25}
N_STEPS, N_PER_EPOCH, INTERVAL = 20, 7, 3
Rows = dict[int, dict[str, float]]


def drawn(step: int) -> list[tuple[str, int, dict[str, float]]]:
    rng = random.Random(step)
    corpora = ["hbn", "hbn", "tuh"] if step % 2 else ["hbn", "tuh"]
    return [(c, rng.randint(1, 5), {"loss": rng.random(), "baseline_loss": 1 + rng.random()}) for c in corpora]


def log_steps(log: TrainingLog, steps: range, interval: int = INTERVAL) -> Rows:
    rows: Rows = {}
    for step in steps:
        for corpus, n_windows, values in drawn(step):
            log.add(step, corpus, n_windows, {name: torch.tensor(v) for name, v in values.items()})
        log.add_gradient(step, torch.tensor(float(step)), {"hbn": torch.tensor(3.0), "tuh": torch.tensor(1.0)})
        if (step + 1) % interval == 0 or step + 1 == N_STEPS:
            rows |= log.take(step + 1)
    return rows


def new() -> TrainingLog:
    return TrainingLog(WEIGHTS, N_STEPS, N_PER_EPOCH)


def mean(steps: range, corpus: str, name: str) -> float:
    of = [(n, values[name]) for step in steps for c, n, values in drawn(step) if c == corpus]
    return sum(n * value for n, value in of) / sum(n for n, _ in of)


def test_means_of_steps_and_of_three_epochs() -> None:
    rows = log_steps(new(), range(N_STEPS))
    assert list(rows) == [3, 6, 7, 9, 12, 14, 15, 18, 20]
    for n_done in (3, 6, 9, 12, 15, 18, 20):
        for corpus in WEIGHTS:
            loss = mean(range(n_done - 1, n_done), corpus, "loss")
            assert rows[n_done][f"train/loss/{corpus}"] == pytest.approx(loss, rel=1e-5)
            baseline = mean(range(n_done - 1, n_done), corpus, "baseline_loss")
            assert rows[n_done][f"train/r2/{corpus}"] == pytest.approx(1 - loss / baseline, abs=1e-5)
        expected = sum(w * rows[n_done][f"train/loss/{c}"] for c, w in WEIGHTS.items())
        assert rows[n_done]["train/loss"] == pytest.approx(expected)
        assert rows[n_done]["train/gradient_norm"] == n_done - 1
        assert rows[n_done]["train/gradient_share/hbn"] == 0.75
    of_epochs = {n: values for n, values in rows.items() if "train/loss_epoch" in values}
    assert sorted(of_epochs) == [7, 14, 20], "the last is not whole"
    for number, n_done in enumerate(sorted(of_epochs)):
        steps = range(number * N_PER_EPOCH, min((number + 1) * N_PER_EPOCH, N_STEPS))
        for corpus in WEIGHTS:
            assert of_epochs[n_done][f"train/loss_epoch/{corpus}"] == pytest.approx(mean(steps, corpus, "loss"))
        assert of_epochs[n_done]["train/loss_epoch"] == pytest.approx(
            sum(w * mean(steps, c, "loss") for c, w in WEIGHTS.items())
        )


def test_each_epoch_between_two_looks_has_its_means() -> None:
    log = TrainingLog(WEIGHTS, 20, 2)
    rows = log_steps(log, range(12), interval=6) | log_steps(log, range(12, 20), interval=5)
    of_epochs = {n: values["train/loss_epoch/tuh"] for n, values in rows.items() if "train/loss_epoch" in values}
    assert list(of_epochs) == [*range(2, 21, 2)]
    for n_done, value in of_epochs.items():
        assert value == pytest.approx(mean(range(n_done - 2, n_done), "tuh", "loss"))
    assert "train/loss" not in rows[8], "a step that is not logged has nothing but its epoch"


def test_a_look_between_changes_nothing() -> None:
    log, rows = TrainingLog(WEIGHTS, N_STEPS, N_PER_EPOCH), Rows()
    for step in range(N_STEPS):
        rows |= log_steps(log, range(step, step + 1)) | log.look()
    assert rows == log_steps(new(), range(N_STEPS))


def test_the_mixture_is_that_since_the_last_look() -> None:
    rows = log_steps(new(), range(N_STEPS))
    sizes = {c: sum(n for step in range(3, 6) for d, n, _ in drawn(step) if d == c) for c in WEIGHTS}
    total = sum(sizes.values())
    assert {c: rows[6][f"train/mixture/{c}"] for c in WEIGHTS} == {c: n / total for c, n in sizes.items()}


@pytest.mark.parametrize("n_done", [1, 5, 7, 8, 14, 19])
def test_a_run_that_goes_on_logs_what_it_would_have_logged(n_done: int) -> None:
    whole = log_steps(new(), range(N_STEPS))
    first, second = new(), new()
    rows = log_steps(first, range(n_done)) | first.look()
    second.load_state_dict(first.state_dict())
    assert {**rows, **log_steps(second, range(n_done, N_STEPS))} == whole
    assert second.last_loss == whole[N_STEPS]["train/loss"]


def test_a_run_with_more_steps_goes_on_with_its_epoch() -> None:
    short = TrainingLog(WEIGHTS, 10, N_PER_EPOCH)
    for step in range(10):
        for corpus, n_windows, values in drawn(step):
            short.add(step, corpus, n_windows, {name: torch.tensor(v) for name, v in values.items()})
    assert "train/loss_epoch" in short.take(10)[10]
    longer = new()
    longer.load_state_dict(short.state_dict())
    rows, whole = log_steps(longer, range(10, N_STEPS)), log_steps(new(), range(N_STEPS))
    assert rows[14]["train/loss_epoch"] == whole[14]["train/loss_epoch"]


def test_a_broken_step_does_not_break_its_epoch() -> None:
    log = TrainingLog(WEIGHTS, 3, 3)
    for step, loss in enumerate([1.0, float("nan"), 3.0]):
        log.add(step, "tuh", 2, {"loss": torch.tensor(loss)})
    assert log.take(3)[3]["train/loss_epoch"] == 2.0


def test_the_loss_of_the_last_look_is_kept() -> None:
    log = new()
    assert log.last_loss is None
    rows = log_steps(log, range(4))
    assert log.last_loss == rows[3]["train/loss"]


def test_a_validation_is_named() -> None:
    pending = Pending()
    for step in range(3):
        for corpus, n_windows, values in drawn(step):
            pending.add(step, corpus, n_windows, {name: torch.tensor(v) for name, v in values.items()})
    found = means("val", pending.averages(), WEIGHTS)
    assert found["val/loss/tuh"] == pytest.approx(mean(range(3), "tuh", "loss"))
    assert {"val/loss", "val/r2", "val/baseline_loss/hbn"} <= set(found)
    assert means("val", Pending().averages(), WEIGHTS) == {}


def test_means_over_processes_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    log, asked = new(), list[Any]()
    log.add(0, "tuh", 2, {"loss": torch.tensor(1.0)})

    def doubled(values: torch.Tensor) -> torch.Tensor:
        asked.append(values)
        return 2 * values

    assert log.take(1, doubled)[1]["train/loss"] == 2.0
    assert len(asked) == 1
