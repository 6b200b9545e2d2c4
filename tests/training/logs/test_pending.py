"""Values that wait on the device."""

import io

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
    assert pending.take() == EXPECTED
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


def test_they_wait_on_in_a_run_that_goes_on() -> None:
    stored, other = io.BytesIO(), Pending()
    torch.save(filled().state_dict(), stored)
    stored.seek(0)
    other.load_state_dict(torch.load(stored, weights_only=True))
    other.add(5, "tuh", 1, {"loss": torch.tensor(9.0)})
    assert other.take() == [*EXPECTED, Entry(5, "tuh", 1, {"loss": 9.0})]


def test_means_over_processes_wait_in_the_place_of_the_values() -> None:
    """Another process has values that are larger by two."""
    pending = filled()
    pending.share(lambda values: values + 1)
    expected = [(e.step, e.corpus, e.n_windows, {name: v + 1 for name, v in e.values.items()}) for e in EXPECTED]
    assert pending.take() == expected
    pending.share(lambda values: pytest.fail("nothing waits"))
