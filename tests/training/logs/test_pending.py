"""Values that wait on the device."""

import pytest
import torch

from eegfm.training.logs.pending import Entry, Pending


def filled() -> Pending:
    pending = Pending()
    pending.add(3, "tuh", 7, {"loss": torch.tensor(1.5), "baseline_loss": torch.tensor(2, dtype=torch.bfloat16)})
    pending.add(3, "", 0, {"gradient_norm": torch.tensor(4.0, requires_grad=True)})
    pending.add(4, "hbn", 2, {})
    return pending


EXPECTED = [Entry(3, "tuh", 7, {"loss": 1.5, "baseline_loss": 2.0}), Entry(3, "", 0, {"gradient_norm": 4.0})]


def test_they_come_in_order_and_once() -> None:
    pending = filled()
    assert not pending.is_empty
    assert pending.take() == EXPECTED
    assert pending.is_empty
    assert pending.take() == []


def test_one_copy_brings_all(monkeypatch: pytest.MonkeyPatch) -> None:
    copies: list[int] = []
    asked = torch.Tensor.tolist

    def tolist(tensor: torch.Tensor) -> list[float]:
        copies.append(tensor.numel())
        found: list[float] = asked(tensor)
        return found

    pending = filled()
    monkeypatch.setattr(torch.Tensor, "tolist", tolist)
    pending.take()
    assert copies == [3]


def test_means_over_processes_are_taken_at_once() -> None:
    found = filled().take(lambda values: values * 2)
    assert [entry.values for entry in found] == [{"loss": 3.0, "baseline_loss": 4.0}, {"gradient_norm": 8.0}]
