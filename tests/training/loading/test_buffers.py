"""Memory is used again, and never while somebody holds it."""

import numpy as np
import torch

from eegfm.training.loading.buffers import ReusedBuffers


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
