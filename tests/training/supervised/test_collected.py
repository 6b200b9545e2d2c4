"""What was said in an epoch, kept until metrics are computed of all of it."""

import io

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, r2_score

from answered_store import TARGETS
from eegfm.training.supervised.collected import Collected

CPU = torch.device("cpu")


def test_metrics_are_of_all_windows_and_taken_once() -> None:
    generator = torch.Generator().manual_seed(0)
    said = torch.rand((23, 3), generator=generator).softmax(dim=1)
    truths = torch.randint(0, 3, (23,), generator=generator)
    collected = Collected(TARGETS["multiclass"])
    assert collected.is_empty
    for begin, end in ((0, 10), (10, 20), (20, 23)):
        collected.add(said[begin:end], truths[begin:end])
    found = collected.take(CPU)
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truths, said.argmax(dim=1)), abs=1e-6)
    assert collected.is_empty
    collected.add(said[:4], truths[:4])
    collected.forget()
    assert collected.is_empty


@pytest.mark.parametrize("kind", ["multioutput", "regressions"])
def test_the_state_goes_round(kind: str) -> None:
    """As a killed run stores it in the middle of an epoch: bit by bit."""
    target, generator = TARGETS[kind], torch.Generator().manual_seed(1)
    said = torch.rand((12, *target.output_shape), generator=generator)
    truths = torch.randint(0, 3, (12, 4), generator=generator)
    if kind == "regressions":
        truths = truths.float()
    whole, first, second = (Collected(target) for _ in range(3))
    for one in (whole, first):
        one.add(said[:5], truths[:5])
        one.add(said[5:8], truths[5:8])
    buffer = io.BytesIO()
    torch.save(first.state_dict(), buffer)
    buffer.seek(0)
    second.load_state_dict(torch.load(buffer, weights_only=True))
    for one in (whole, second):
        one.add(said[8:], truths[8:])
    assert whole.take(CPU) == second.take(CPU)
    assert Collected(target).state_dict() == {}
    second.load_state_dict({})
    assert second.is_empty


def test_gradients_and_half_precision_do_not_stay() -> None:
    collected = Collected(TARGETS["regression"])
    said = torch.tensor([[1.0], [2.5]], requires_grad=True)
    collected.add((said * 2).bfloat16(), torch.tensor([[2.0], [4.0]]))
    state = collected.state_dict()
    assert state["said"].dtype == torch.float32
    assert not state["said"].requires_grad
    assert collected.take(CPU)["r2"] == pytest.approx(r2_score([2.0, 4.0], np.array([2.0, 5.0])))
