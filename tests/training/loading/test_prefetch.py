"""The thread keeps the order, runs no further ahead than told, and ends."""

import threading
from collections.abc import Iterator

import pytest

from eegfm.training.loading.prefetch import prefetch
from prefetch_threads import prefetch_threads

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")


def test_prefetch_keeps_order_and_ends_its_thread() -> None:
    assert list(prefetch(lambda: iter(range(50)), 3)) == list(range(50))
    assert not prefetch_threads()


def test_prefetch_runs_no_further_ahead_than_told() -> None:
    made: list[int] = []
    enough = threading.Event()

    def numbers() -> Iterator[int]:
        for k in range(20):
            made.append(k)
            if k == 4:
                enough.set()
            yield k

    items = prefetch(numbers, 3)
    assert next(items) == 0
    assert enough.wait(5)  # 0 taken, 1 to 3 queued, 4 in hand
    assert made == [0, 1, 2, 3, 4]
    items.close()
    assert not prefetch_threads()
