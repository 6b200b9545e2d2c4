"""The selective scan against a loop over time in float64."""

import logging
import sys
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import silu, softplus
from torch.utils._python_dispatch import TorchDispatchMode

from eegfm.encoders.femba.selective_scan import kernel_scan, load_kernel, scan_, selective_scan
from eegfm.errors import ConfigError

NAMES = ("x", "delta", "A", "B", "C", "D", "z", "delta_bias")
DECAYS = {"strong": 3.0, "published": -4.0, "weak": -10.0}  # by the bias of the step size before softplus


def arguments(
    B: int = 2, L: int = 50, D: int = 3, S: int = 4, *, decay: str = "published", seed: int = 0
) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    A = -torch.arange(1.0, S + 1).repeat(D, 1) * (1 + 0.1 * noise(D, S).abs())
    bias = DECAYS[decay] + noise(D)
    return [noise(B, L, D), noise(B, L, D), A, noise(B, L, S), noise(B, L, S), noise(D), noise(B, L, D), bias]


def loop(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor, bias: Tensor) -> Tensor:
    """Algorithm 2 of arXiv 2312.00752, step by step."""
    step = softplus(delta + bias)
    state, outputs = torch.zeros(len(x), *A.shape, dtype=x.dtype), []
    for t in range(x.shape[1]):
        state = torch.exp(step[:, t, :, None] * A) * state + (step[:, t] * x[:, t])[:, :, None] * B[:, t, None]
        outputs.append((state * C[:, t, None]).sum(-1) + D * x[:, t])
    return torch.stack(outputs, 1) * silu(z)


def with_gradients(function: Any, inputs: list[Tensor]) -> dict[str, Tensor]:
    inputs = [t.clone().requires_grad_() for t in inputs]
    y = function(*inputs)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(9)).to(y.dtype)
    gradients = torch.autograd.grad((weights * y).sum(), inputs)
    return {"y": y.detach(), **dict(zip(NAMES, gradients, strict=True))}


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float = 1e-5) -> None:
    """Errors in units of the largest value; float32 knows nothing below 1e-37."""
    for name, value in expected.items():
        assert torch.isfinite(found[name]).all(), name
        error, largest = (found[name].double() - value).abs().max(), value.abs().max()
        assert error <= tolerance * largest + 1e-37, (name, float(error), float(largest))


@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize(("length", "chunk"), [(1, 16), (2, 1), (37, 5), (37, 64), (80, 16), (1200, 16), (1200, 500)])
def test_the_scan_is_the_loop(length: int, chunk: int, decay: str) -> None:
    found = with_gradients(lambda *args: selective_scan(*args, chunk=chunk), arguments(L=length, decay=decay))
    assert_equal(found, expected(length, decay))


@cache
def expected(length: int, decay: str) -> dict[str, Tensor]:
    return with_gradients(loop, [t.double() for t in arguments(L=length, decay=decay)])


def test_gradients_are_those_of_finite_differences() -> None:
    inputs = [t.double().requires_grad_() for t in arguments(L=11, D=2, S=3)]
    assert torch.autograd.gradcheck(lambda *args: selective_scan(*args, chunk=4), inputs)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", range(1, 20))
def test_a_tree_of_any_length_is_the_recurrence(length: int, reverse: bool) -> None:
    generator = torch.Generator().manual_seed(length)
    decay = torch.rand(2, length, 3, generator=generator, dtype=torch.float64)
    values = torch.randn(2, length, 3, generator=generator, dtype=torch.float64)
    wanted, state = torch.empty_like(values), torch.zeros(2, 3, dtype=torch.float64)
    for t in reversed(range(length)) if reverse else range(length):
        state = decay[:, t] * state + values[:, t]
        wanted[:, t] = state
    scan_(decay, values, reverse=reverse)
    torch.testing.assert_close(values, wanted, atol=1e-14, rtol=1e-12)


def test_what_has_decayed_to_zero_is_zero() -> None:
    """Decays of exp(-1600) underflow; nothing may be divided by them."""
    inputs = arguments(L=100)
    inputs[7] = torch.full_like(inputs[7], 400.0)
    found = with_gradients(selective_scan, inputs)
    assert_equal(found, with_gradients(loop, [t.double() for t in inputs]))


def test_half_precision_is_computed_in_float32() -> None:
    """Under autocast too: the output is that of the rounded inputs, rounded once."""
    inputs = [t.bfloat16() if t.ndim == 3 else t for t in arguments(L=200)]
    with torch.autocast("cpu", torch.bfloat16):
        found = selective_scan(*inputs)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, selective_scan(*(t.float() for t in inputs)).bfloat16())


def test_gradients_under_autocast_are_those_of_float32() -> None:
    inputs = [t.requires_grad_() for t in arguments(L=40)]
    wanted = torch.autograd.grad(selective_scan(*inputs).sum(), inputs)
    with torch.autocast("cpu", torch.bfloat16):
        found = torch.autograd.grad(selective_scan(*inputs).sum(), inputs)
    for name, a, b in zip(NAMES, found, wanted, strict=True):
        torch.testing.assert_close(a, b, msg=name)


class LargestTensor(TorchDispatchMode):
    """Keeps the number of values of the largest tensor that any operation gives."""

    n_values = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for value in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(value, Tensor):
                self.n_values = max(self.n_values, value.numel())
        return out


def test_states_of_the_whole_sequence_are_never_in_memory() -> None:
    B, L, D, S = 2, 256, 24, 16
    inputs = [t.requires_grad_() for t in arguments(B, L, D, S)]
    with LargestTensor() as largest:
        selective_scan(*inputs, chunk=16).sum().backward()
    assert largest.n_values == B * D * S * (L // 16 + 1)  # the states at the ends of 16 chunks


@pytest.fixture
def mamba_ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A stand-in for the package, with the layout of its kernel: time last."""
    interface = ModuleType("mamba_ssm.ops.selective_scan_interface")

    def selective_scan_fn(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False):
        assert delta_softplus
        assert {D.dtype, delta_bias.dtype} == {torch.float32}
        return loop(u.mT, delta.mT, A, B.mT, C.mT, D, z.mT, delta_bias).mT

    interface.selective_scan_fn = selective_scan_fn
    for name, module in {
        "mamba_ssm": ModuleType("mamba_ssm"),
        "mamba_ssm.ops": ModuleType("mamba_ssm.ops"),
        "mamba_ssm.ops.selective_scan_interface": interface,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    return interface


def test_the_kernel_gets_its_own_layout(mamba_ssm: ModuleType) -> None:
    inputs = arguments(L=30)
    found = kernel_scan(mamba_ssm.selective_scan_fn, *inputs)
    torch.testing.assert_close(found, selective_scan(*inputs), atol=1e-5, rtol=1e-5)


def test_auto_takes_the_kernel_where_there_is_a_gpu(mamba_ssm: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert load_kernel("auto") is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert load_kernel("auto") is mamba_ssm.selective_scan_fn
    assert load_kernel("mamba_ssm") is mamba_ssm.selective_scan_fn
    assert load_kernel("torch") is None


def test_without_the_package_auto_is_torch(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, "mamba_ssm", None)
    assert load_kernel("auto") is None
    assert not caplog.records
    with pytest.raises(ConfigError, match=r"encoder\.scan is mamba_ssm.*pip install.*encoder\.scan: torch") as caught:
        load_kernel("mamba_ssm")
    assert "\n" not in str(caught.value)


def test_a_package_that_does_not_load_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(name: str) -> ModuleType:
        raise ImportError("undefined symbol: _ZN3c10\nin selective_scan_cuda.so")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("eegfm.encoders.femba.selective_scan.import_module", broken)
    with caplog.at_level(logging.WARNING):
        assert load_kernel("auto") is None
    assert [record.getMessage() for record in caplog.records] == [
        "mamba_ssm is installed but cannot be imported (undefined symbol: _ZN3c10); the scan runs in plain torch"
    ]
