"""Memory is used again, and never while somebody holds it."""

import numpy as np
import pytest
import torch

from eegfm.batch import Pairs
from eegfm.training.loading.buffers import ReusedBuffers, pinned


def address(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def test_a_buffer_comes_back_when_its_tensor_is_gone() -> None:
    buffers = ReusedBuffers(3)
    first = buffers.take((2, 3, 4))
    assert (first.dtype, first.shape) == (torch.int16, (2, 3, 4))
    place = address(first)
    second = buffers.take((2, 3, 4))
    assert address(second) != place
    del first
    assert address(buffers.take((2, 3, 4))) == place


def test_whatever_shares_the_memory_holds_it() -> None:
    buffers = ReusedBuffers(9)
    holders = {
        "view": lambda t: t[1:, 0],
        "reshaped": lambda t: t.view(-1),
        "array": lambda t: t.numpy(),
        "part of an array": lambda t: t.numpy()[0],
        "storage": lambda t: t.untyped_storage(),
        "detached": lambda t: t.detach(),
        "in a list": lambda t: [t],
        "memory view": lambda t: memoryview(t.numpy()),
    }
    for hold in holders.values():
        tensor = buffers.take((2, 3, 4))
        place, held = address(tensor), hold(tensor)
        del tensor
        assert place != address(buffers.take((2, 3, 4)))
        del held
        assert place == address(buffers.take((2, 3, 4)))


def test_no_more_are_kept_than_told() -> None:
    buffers = ReusedBuffers(2)
    held = [buffers.take((1, 5, 2)) for _ in range(6)]
    assert len({address(t) for t in held}) == 6
    assert len(buffers._kept[1, 5, 2]) == 2
    kept = {address(t) for t in held[:2]}
    del held
    again = [buffers.take((1, 5, 2)) for _ in range(2)]
    assert {address(t) for t in again} == kept


def test_shapes_have_buffers_of_their_own() -> None:
    buffers = ReusedBuffers(1)
    a, b = buffers.take((4, 3, 2)), buffers.take((2, 3, 4))
    a.fill_(1)
    b.fill_(2)
    assert np.unique(a.numpy()).tolist() == [1]


def test_all_tensors_of_a_batch_are_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self + 1)
    bad = np.zeros((1, 2), dtype=bool)
    batch = {
        "samples": torch.zeros(1),
        "targets": {"age": torch.zeros(1)},
        "pairs": Pairs(torch.zeros(1), torch.zeros(1), 3, torch.zeros(1)),
        "corpus": "tuh",
        "is_bad": bad,
    }
    found = pinned(batch)
    assert found.keys() == batch.keys()
    assert [found["samples"], found["targets"]["age"], *found["pairs"][:2]] == [1, 1, 1, 1]
    assert isinstance(found["pairs"], Pairs)
    assert (found["pairs"].reach, found["pairs"].block) == (3, 1)
    assert pinned(Pairs(torch.zeros(1), torch.zeros(1), 3)).block is None
    assert found["corpus"] == "tuh"
    assert found["is_bad"] is bad, "whoever looks at it looks on the CPU"
