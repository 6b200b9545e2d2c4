"""A CPU that computes wrong in bfloat16 is found out and refused; see ``eegfm.processor``."""

import logging
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from eegfm.errors import TrainingError
from eegfm.processor import VARIABLE, WITHOUT_AMX
from eegfm.training import bfloat16
from eegfm.training.bfloat16 import check_bfloat16

CPU = torch.device("cpu")
RIGHT = dict(bfloat16._CONVOLUTIONS)
Convolution = Callable[..., Tensor]


@pytest.fixture(autouse=True)
def _nothing_known_yet() -> Iterator[None]:
    for known in (bfloat16.largest_error, bfloat16._say_limit):
        known.cache_clear()
    yield
    for known in (bfloat16.largest_error, bfloat16._say_limit):
        known.cache_clear()


def wrong(convolve: Convolution, is_wrong: Callable[[Tensor, Tensor], bool]) -> Convolution:
    """The convolution, but with a row of its output in bfloat16 taken from another where it is wrong."""

    def compute(signal: Tensor, weight: Tensor, **options: object) -> Tensor:
        output = convolve(signal, weight, **options)
        return output.roll(1, dims=1) if output.dtype == torch.bfloat16 and is_wrong(signal, weight) else output

    return compute


class _GradientOfOnes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, output: Tensor) -> Tensor:
        return output.clone()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return torch.ones_like(gradient) if gradient.dtype == torch.bfloat16 else gradient


def refused(monkeypatch: pytest.MonkeyPatch, n_axes: int, convolve: Convolution) -> str:
    monkeypatch.setitem(bfloat16._CONVOLUTIONS, n_axes, convolve)
    with pytest.raises(TrainingError) as caught:
        check_bfloat16(CPU)
    return str(caught.value)


def test_this_machine_computes_right() -> None:
    state = torch.random.get_rng_state()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        check_bfloat16(CPU)
    assert bfloat16.largest_error() < 0.02
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("case", bfloat16._CASES, ids=lambda case: f"{len(case.signal)}d_{case.weight[-1]}")
def test_any_wrong_convolution_is_refused(monkeypatch: pytest.MonkeyPatch, case: bfloat16._Case) -> None:
    monkeypatch.setenv(VARIABLE, "AVX512_CORE_AMX")
    n_axes = len(case.signal)
    message = refused(monkeypatch, n_axes, wrong(RIGHT[n_axes], lambda x, w: tuple(w.shape) == case.weight))
    assert f"({VARIABLE} is AVX512_CORE_AMX, or was set too late); set {VARIABLE}={WITHOUT_AMX} before" in message
    assert "\n" not in message


def test_a_wrong_gradient_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    message = refused(monkeypatch, 3, lambda *a, **k: _GradientOfOnes.apply(RIGHT[3](*a, **k)))
    assert f"{VARIABLE} is not set" in message


def test_what_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    refused(monkeypatch, 4, lambda *a, **k: RIGHT[4](*a, **k) * (torch.nan if a[0].dtype == torch.bfloat16 else 1))


def test_no_other_device_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bfloat16, "largest_error", lambda: 1.1)
    check_bfloat16(torch.device("cuda"))
    with pytest.raises(TrainingError, match=r"wrong on this CPU by 1\.1 of their size"):
        check_bfloat16(CPU)


@pytest.mark.parametrize(
    ("has_amx", "limit", "n_lines"), [(True, WITHOUT_AMX, 1), (True, "AVX2", 0), (False, WITHOUT_AMX, 0)]
)
def test_what_is_kept_from_amx_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, has_amx: bool, limit: str, n_lines: int
) -> None:
    monkeypatch.setenv(VARIABLE, limit)
    monkeypatch.setattr(bfloat16, "has_amx", lambda: has_amx)
    monkeypatch.setattr(bfloat16, "largest_error", lambda: 0.002)
    with caplog.at_level(logging.INFO, "eegfm"):
        check_bfloat16(CPU)
        check_bfloat16(CPU)
    said = [record.message for record in caplog.records]
    assert len(said) == n_lines
    assert all(f"{VARIABLE}={WITHOUT_AMX} keeps oneDNN from the processor's AMX" in line for line in said)
