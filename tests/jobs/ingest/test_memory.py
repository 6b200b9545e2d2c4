"""Freed memory stays with the process, and no more of it than is said."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edf_files import set_field, write_edf

FAULTS = """
import resource, sys
import numpy as np
from eegfm.jobs.ingest.memory import keep_freed_memory

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


PEAK = """
import re, sys
from pathlib import Path
from eegfm.corpora.config import EdfFolderCorpus
from eegfm.jobs.ingest.config import IngestParams
from eegfm.jobs.ingest.convert import Converted, Task, convert
from eegfm.signal.config import SignalParams

root = Path(sys.argv[1])
corpus = EdfFolderCorpus(pattern="{subject}.edf")
[row] = corpus.build("long").index(root).to_dict("records")
assert isinstance(convert(Task(root, row, "key", IngestParams(corpus=corpus), SignalParams(), root)), Converted)
# Not ru_maxrss, which starts with the size of the process that forked this one.
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def peak_mb(folder: Path) -> float:
    done = subprocess.run([sys.executable, "-c", PEAK, str(folder)], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mapped pages are counted and released as on Linux")
def test_peak_memory_does_not_grow_with_the_length_of_a_recording(tmp_path: Path) -> None:
    names = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2", "Fz", "Cz", "Pz", "F7", "F8", "T7")
    rng = np.random.default_rng(0)
    (tmp_path / "short").mkdir()
    (tmp_path / "long").mkdir()
    write_edf(tmp_path / "short" / "a.edf", list(20 * rng.standard_normal((16, 300 * 500))), names, 500.0)
    short = (tmp_path / "short" / "a.edf").read_bytes()
    header = 256 * 17
    (tmp_path / "long" / "a.edf").write_bytes(short[:header] + short[header:] * 20)
    set_field(tmp_path / "long" / "a.edf", "number of records", str(300 * 20))
    # 4.8 MB against 96 MB.
    assert peak_mb(tmp_path / "long") - peak_mb(tmp_path / "short") < 40
