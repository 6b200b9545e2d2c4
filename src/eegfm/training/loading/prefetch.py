"""An iterator in a thread of its own, which runs ahead of whoever takes its items."""

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

_T = TypeVar("_T")


def use_one_thread() -> None:
    """Limit torch's operators to one core, in the calling thread only.

    Every thread that runs them gets a team of its own, and two teams on the same cores slow each other down.
    ``torch.set_num_threads`` sets the number for its own thread and for all that use torch later; a short-lived thread
    puts back the latter.
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    other = threading.Thread(target=torch.set_num_threads, args=(n_threads,))
    other.start()
    other.join()


@dataclass(frozen=True)
class _Item(Generic[_T]):
    value: _T


@dataclass(frozen=True)
class _Failure:
    error: BaseException


def prefetch(start: Callable[[], Iterator[_T]], n_ahead: int) -> Iterator[_T]:
    """Run an iterator in a thread, at most ``n_ahead`` items in front.

    Errors of the iterator are raised here. The thread ends when the items end, and when this generator is
    closed or dropped.
    """
    items: queue.SimpleQueue[_Item[_T] | _Failure | None] = queue.SimpleQueue()
    slots: queue.SimpleQueue[None] = queue.SimpleQueue()
    stop = threading.Event()
    for _ in range(n_ahead):
        slots.put(None)

    def put(item: _Item[_T] | _Failure | None) -> None:
        slots.get()
        items.put(item)

    def work() -> None:
        try:
            for item in start():
                put(_Item(item))
                if stop.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - carried over to the thread that waits, and raised there
            put(_Failure(error))
        else:
            put(None)

    thread = threading.Thread(target=work, name="eegfm-prefetch", daemon=True)
    thread.start()
    try:
        while (entry := items.get()) is not None:
            slots.put(None)
            if isinstance(entry, _Failure):
                raise entry.error
            yield entry.value
    finally:
        stop.set()
        slots.put(None)  # wakes the thread, which has at most one item in hand
        thread.join()
