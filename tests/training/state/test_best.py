"""The best validation of a run, and the patience with those that come after it."""

import math

import pytest

from eegfm.training.state.best import BestValidation


def test_patience_counts_the_validations_since_the_best() -> None:
    best, ends = BestValidation(2), []
    for step, loss in enumerate([3.0, 2.0, 2.5, 1.0, 1.0, 4.0], 1):
        assert best.is_improved_by(loss, step) == (step in (1, 2, 4))
        ends.append(best.has_ended)
    assert ends == [False] * 5 + [True]
    assert (best.loss, best.step, best.n_since) == (1.0, 4, 2)


def test_without_patience_nothing_ends() -> None:
    best = BestValidation()
    for step in range(100):
        best.is_improved_by(float(step), step)
    assert not best.has_ended


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_what_is_not_finite_is_never_the_best(loss: float) -> None:
    best = BestValidation(2)
    assert not best.is_improved_by(loss, 1)
    assert best.is_improved_by(1.0, 2)
    assert not best.is_improved_by(loss, 3)
    assert (best.loss, best.step, best.n_since) == (1.0, 2, 1)


def test_the_state_goes_round() -> None:
    best, other = BestValidation(3), BestValidation(3)
    for step, loss in enumerate([2.0, 3.0, 4.0], 1):
        best.is_improved_by(loss, step)
    other.load_state_dict(best.state_dict())
    assert other.state_dict() == best.state_dict() == {"loss": 2.0, "step": 1, "n_since": 2}
    assert not other.has_ended
    assert not other.is_improved_by(5.0, 4)
    assert other.has_ended


LOSSES = [5.0, 6.0, 4.0, 4.5, 3.0, 3.5, 3.2, 9.0, 1.0]


@pytest.mark.parametrize(
    ("saved", "killed"), [(saved, killed) for killed in range(1, 8) for saved in range(1, killed + 1)]
)
def test_a_run_that_goes_on_ends_where_an_uninterrupted_one_does(saved: int, killed: int) -> None:
    """Killed after a validation: its state is of an earlier one, and the file of the best one may be later."""
    stored, state, best = BestValidation(3).state_dict(), {}, BestValidation(3)
    for step, loss in enumerate(LOSSES[:killed], 1):
        if best.is_improved_by(loss, step):
            stored = best.state_dict()
        if step == saved:
            state = best.state_dict()
    again = BestValidation(3)
    again.load_state_dict(state)
    if stored["loss"] <= again.loss:
        again.believe(stored)
    ended = 0
    for step, loss in enumerate(LOSSES, 1):
        if step > saved and not again.has_ended:
            again.is_improved_by(loss, step)
            ended = step
    assert (ended, again.loss, again.step) == (8, 3.0, 5)
