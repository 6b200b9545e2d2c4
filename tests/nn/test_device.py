"""Devices are what is asked for, and copies to them do not wait."""

from typing import Any

import pytest
import torch

from eegfm.errors import ConfigError
from eegfm.nn.device import refuse_missing_gpu, sent, training_device


def have(monkeypatch: pytest.MonkeyPatch, *, cuda: bool = False, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "asked", "found"),
    [
        (True, False, "auto", "cuda"),
        (True, True, "auto", "cuda"),
        (False, True, "auto", "mps"),
        (False, False, "auto", "cpu"),
        (True, True, "cpu", "cpu"),
        (True, True, "mps", "mps"),
        (True, False, "cuda", "cuda"),
    ],
)
def test_the_device_follows_the_accelerator(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, asked: Any, found: str
) -> None:
    have(monkeypatch, cuda=cuda, mps=mps)
    assert training_device(asked).type == found


@pytest.mark.parametrize(("asked", "what"), [("cuda", "GPU"), ("mps", "Apple GPU")])
def test_a_gpu_of_another_kind_is_none(monkeypatch: pytest.MonkeyPatch, asked: Any, what: str) -> None:
    have(monkeypatch, cuda=asked == "mps", mps=asked == "cuda")
    with pytest.raises(ConfigError, match=rf"^parameter a\.b is '{asked}', and .* finds no {what} on .*; set a\.b=cpu"):
        training_device(asked, "a.b")


@pytest.mark.parametrize("block", ["pretrain", "adapt"])
def test_a_precision_that_the_gpu_lacks_is_one_of_the_block(monkeypatch: pytest.MonkeyPatch, block: str) -> None:
    have(monkeypatch, cuda=True)
    # As torch answers for a card that has to emulate it.
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Old")
    line = rf"^parameter {block}\.precision is 'bf16-mixed', and Old does not .*; set {block}\.precision=32-true$"
    with pytest.raises(ConfigError, match=line):
        refuse_missing_gpu(f"{block}.accelerator", "cuda", precision="bf16-mixed")
    with pytest.raises(ConfigError, match=line):
        training_device("auto", f"{block}.accelerator", precision="bf16-mixed")
    assert training_device("auto", f"{block}.accelerator").type == "cuda"
    assert training_device("cpu", f"{block}.accelerator", precision="bf16-mixed").type == "cpu"


@pytest.mark.parametrize(
    ("device", "is_pinned", "waits"), [("cuda", True, False), ("mps", False, True), ("cpu", False, False)]
)
def test_copies_do_not_wait_where_that_is_safe(
    monkeypatch: pytest.MonkeyPatch, device: str, is_pinned: bool, waits: bool
) -> None:
    calls: list[Any] = []
    values = torch.arange(3)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: calls.append("pinned") or self)
    monkeypatch.setattr(
        torch.Tensor, "to", lambda self, to, *, non_blocking: calls.append((to.type, non_blocking)) or self
    )
    assert sent(values, torch.device(device)) is values
    assert calls == [*(["pinned"] * is_pinned), (device, not waits)]
