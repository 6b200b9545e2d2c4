"""A step that is left out leaves everything as it was; others are those of the optimizer."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from eegfm.errors import TrainingError
from eegfm.training.optimizers.config import LambConfig
from eegfm.training.optimizers.lamb import Lamb
from eegfm.training.skipping import KeptBuffers, SkippedSteps, guarded_step

MAKE: dict[str, Callable[[list[nn.Parameter]], Optimizer]] = {
    "adamw fused": lambda params: AdamW(params, lr=0.1, weight_decay=0.1, fused=True),
    "lamb": lambda params: Lamb(
        [{"params": params, "lr": 0.1, "weight_decay": 0.1, "adapts": True}], LambConfig(learning_rate=0.1)
    ),
    "adam foreach": lambda params: Adam(params, lr=0.1, foreach=True),
    "sgd": lambda params: SGD(params, lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True),
    "rmsprop": lambda params: RMSprop(params, lr=0.1, momentum=0.5, centered=True),
}


def gradient(k: int, size: int) -> Tensor:
    return torch.linspace(-1, 1, size) * (k + 1)


def everything(params: list[nn.Parameter], optimizer: Optimizer) -> list[Tensor]:
    states = [v for p in params for _, v in sorted(optimizer.state[p].items()) if isinstance(v, Tensor)]
    return [value.detach().clone() for value in [*params, *states]]


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("broken", [{0}, {2}, {1, 2, 4}])
def test_a_step_that_is_left_out_did_not_happen(name: str, broken: set[int]) -> None:
    params = [nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))]  # one is frozen
    plain = copy.deepcopy(params)
    optimizer, expected = MAKE[name](params), MAKE[name](plain)
    for k in range(6):
        before = everything(params, optimizer)
        for group, is_finite in ((params, k not in broken), (plain, True)):
            for p in group[:2]:
                p.grad = gradient(k, len(p)) if is_finite else torch.full_like(p, torch.nan)
        guarded_step(optimizer, torch.tensor(k not in broken))
        if k in broken and k:
            assert all(map(torch.equal, before, everything(params, optimizer)))
        if k not in broken:
            expected.step()
        assert torch.equal(params[2], torch.ones(2))
    torch.testing.assert_close(everything(params, optimizer), everything(plain, expected), rtol=0, atol=0)
    assert not hasattr(optimizer, "found_inf"), "Lightning would take it for its own"


def test_running_means_are_put_back() -> None:
    module = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2))
    module.register_buffer("table", torch.ones(3), persistent=False)
    buffers = KeptBuffers(module)
    for value, is_finite in ((torch.nan, False), (1.0, True)):
        before = [buffer.clone() for buffer in module[0].buffers()]
        buffers.keep()
        module(torch.randn(4, 2) + value)
        buffers.put_back_unless(torch.tensor(is_finite))
        now = [buffer.clone() for buffer in module[0].buffers()]
        assert all(map(torch.equal, before, now)) is not is_finite
        assert all(buffer.isfinite().all() for buffer in now)


def test_steps_are_counted_and_limited(caplog: pytest.LogCaptureFixture) -> None:
    skipped = SkippedSteps(2)
    skipped.check()
    for number in range(5):
        skipped.count(torch.tensor(number not in {1, 3}), number)
    skipped.check()
    skipped.check()
    assert caplog.messages == [
        "Loss or gradient of step 4 is not finite, and it was left out; 2 of at most 2 (max_skipped_steps)"
    ]
    later = SkippedSteps(2, "; do this")
    later.load_state_dict(skipped.state_dict())
    later.check()
    assert len(caplog.messages) == 1
    later.count(torch.tensor(False), 9)
    with pytest.raises(TrainingError, match=r"step 10 is not finite, and 3 steps .* max_skipped_steps 2 .*; do this"):
        later.check()
    assert later.n_skipped == 3
    assert SkippedSteps(0).state_dict() == {"n_skipped": 0, "last_skipped": 0}
