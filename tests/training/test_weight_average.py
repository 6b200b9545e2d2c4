"""The average of the weights over the last steps: its value, where it stands in, and that training does not notice."""

import io
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from eegfm.errors import TrainingError
from eegfm.training.blocks import WeightAverageParams
from eegfm.training.stateful import Stateful
from eegfm.training.weight_average import WeightAverage

TAKEN = torch.tensor(True)


class Model(nn.Module):
    """A few weights, and statistics that no one averages."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2, dtype=torch.float64)
        self.norm = nn.BatchNorm1d(2, dtype=torch.float64)


class Calls(TorchDispatchMode):
    """Names of torch's operations inside the block."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note the name, then let it run."""
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def moved(model: Model, step: int) -> list[np.ndarray[Any, Any]]:
    """Weights after a step, drawn."""
    draw = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=draw, dtype=p.dtype))
        model.norm.running_mean.fill_(step)
    return [p.detach().numpy().copy() for p in model.parameters()]


def values(model: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in model.parameters()]


def averaged(model: Model, average: WeightAverage) -> list[Tensor]:
    with average.applied():
        return values(model)


def test_it_follows_its_formula_from_its_first_step() -> None:
    model = Model()
    average = WeightAverage(WeightAverageParams(decay=0.75, start_ratio=0.5), model, 7)
    expected: list[Any] = []
    for step in range(7):
        weights = moved(model, step)
        average.update(step, TAKEN)
        if step < 3:
            assert not average.has_started
            assert all(torch.equal(a, b) for a, b in zip(averaged(model, average), values(model), strict=True))
            continue
        pairs = zip(expected, weights, strict=True)
        expected = [0.75 * mean + 0.25 * weight for mean, weight in pairs] if expected else weights
        average.update(step, ~TAKEN)  # a step that was left out does not count
        for found, mean in zip(averaged(model, average), expected, strict=True):
            np.testing.assert_allclose(found.numpy(), mean, rtol=1e-12)


@pytest.mark.parametrize("is_resumed", [False, True])
def test_it_starts_with_the_first_step_that_is_taken(is_resumed: bool) -> None:
    """Steps that are left out leave the weights of the step before, which is none of those to average."""
    model = Model()
    average = WeightAverage(WeightAverageParams(decay=0.75, start_ratio=0), model, 6)
    before = [torch.from_numpy(weight) for weight in moved(model, 0)]
    average.update(0, ~TAKEN)
    average.update(1, ~TAKEN)
    assert all(torch.equal(a, b) for a, b in zip(averaged(model, average), before, strict=True)), "not yet"
    if is_resumed:
        state, average = average.state_dict(), WeightAverage(WeightAverageParams(decay=0.75, start_ratio=0), model, 6)
        average.load_state_dict(state)
    first = moved(model, 2)
    average.update(2, TAKEN)
    second = moved(model, 3)
    average.update(3, TAKEN)
    for found, one, other in zip(averaged(model, average), first, second, strict=True):
        np.testing.assert_allclose(found.numpy(), 0.75 * one + 0.25 * other, rtol=1e-12)


def test_it_starts_in_every_training() -> None:
    average = WeightAverage(WeightAverageParams(start_ratio=0.99), Model(), 1)
    average.update(0, TAKEN)
    assert average.has_started


def started() -> tuple[Model, WeightAverage]:
    model = Model()
    average = WeightAverage(WeightAverageParams(decay=0.5, start_ratio=0), model, 4)
    for step in range(3):
        moved(model, step)
        average.update(step, TAKEN)
    return model, average


def test_weights_come_back_and_statistics_stay() -> None:
    model, average = started()
    own = values(model)
    with average.applied():
        inside = values(model)
        with average.applied():
            assert all(torch.equal(a, b) for a, b in zip(values(model), inside, strict=True))
        assert all(torch.equal(a, b) for a, b in zip(values(model), inside, strict=True)), "the outer block goes on"
        assert model.norm.running_mean.tolist() == [2.0, 2.0]
    assert not any(torch.equal(a, b) for a, b in zip(own, inside, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(own, values(model), strict=True))


def test_weights_come_back_after_an_error_and_where_nothing_is_recorded() -> None:
    model, average = started()
    own = values(model)
    with pytest.raises(KeyboardInterrupt), torch.inference_mode(), average.applied():
        raise KeyboardInterrupt
    assert all(torch.equal(a, b) for a, b in zip(own, values(model), strict=True))
    average.update(3, TAKEN)
    model.linear(torch.ones(1, 3, dtype=torch.float64)).sum().backward()
    assert model.linear.weight.grad is not None


def test_what_is_frozen_is_its_own_average() -> None:
    model = Model()
    model.linear.requires_grad_(False)
    average = WeightAverage(WeightAverageParams(decay=0.9, start_ratio=0), model, 50)
    before = values(model.linear)
    for step in range(50):
        with torch.no_grad():
            model.norm.weight.add_(0.1)
        average.update(step, TAKEN)
    with average.applied():
        assert all(torch.equal(a, b) for a, b in zip(before, values(model.linear), strict=True))
    model.linear.requires_grad_(True)
    with torch.no_grad():
        model.linear.weight.add_(1.0)
    average.update(50, TAKEN)
    with average.applied():
        torch.testing.assert_close(model.linear.weight.detach(), before[0] + 0.1)


@pytest.mark.parametrize("n_done", [1, 3])
def test_a_state_goes_on_bit_identically_through_a_file(n_done: int) -> None:
    """Also one that is stored before the average starts."""
    model, again = Model(), Model()
    params = WeightAverageParams(decay=0.9, start_ratio=0.4)
    average, resumed = (WeightAverage(params, m, 6) for m in (model, again))
    assert isinstance(average, Stateful)
    for step in range(n_done):
        moved(model, step)
        average.update(step, TAKEN)
    file = io.BytesIO()
    torch.save(average.state_dict(), file)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert resumed.has_started == average.has_started == (n_done > 2)
    for step in range(n_done, 6):
        for m, a in ((model, average), (again, resumed)):
            moved(m, step)
            a.update(step, TAKEN)
    assert all(torch.equal(a, b) for a, b in zip(averaged(model, average), averaged(again, resumed), strict=True))


def test_a_state_of_another_model_is_refused() -> None:
    _, average = started()
    other = WeightAverage(WeightAverageParams(), nn.Linear(3, 2), 4)
    with pytest.raises(TrainingError, match=r"another model; start anew with resume: false"):
        other.load_state_dict(average.state_dict())


def test_calls_do_not_grow_with_the_number_of_weights() -> None:
    _, average = started()
    with Calls() as calls:
        average.update(3, TAKEN)
    assert [name for name in calls.names if "foreach" in name] == ["_foreach_sub", "_foreach_mul_", "_foreach_add_"]
    assert len(calls.names) - 3 <= 4 + 8, "a view of each weight, and the factor"
