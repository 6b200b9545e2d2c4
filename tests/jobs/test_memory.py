"""Freed memory stays with the process, and no more of it than is said."""

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from eegfm.jobs.memory import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def work():
    before = faults()
    for _ in range(20):
        held = [np.ones(3 << 20, dtype=np.uint8) for _ in range(5)]
        del held
    return faults() - before

if "keep" in sys.argv:
    assert keep_freed_memory()
work()
print(work())
"""


def n_faults(*arguments: str) -> int:
    done = subprocess.run([sys.executable, "-c", FAULTS, *arguments], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a property of the GNU C library")
def test_freed_arrays_are_not_asked_for_again() -> None:
    assert n_faults() > 10 * (n_faults("keep") + 100)
