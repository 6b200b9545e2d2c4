"""Run as a program: bring a tone corpus into a store with two workers, to be killed from outside."""

import sys
from pathlib import Path

from eegfm.jobs.ingest.config import WorkerParams
from tone_corpus import PARAMS, run_ingest

if __name__ == "__main__":
    run_ingest(Path(sys.argv[1]), Path(sys.argv[2]), PARAMS.model_copy(update={"workers": WorkerParams(n_workers=2)}))
