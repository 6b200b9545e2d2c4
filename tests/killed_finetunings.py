"""Run as a program: as ``killed_trainings``, but what is killed again and again is a finetuning."""

import sys
import tempfile
from pathlib import Path
from typing import Any

import killed_trainings
from answered_store import answered_task, start_of, tuning, write_answered
from eegfm.jobs.train.finetuning import finetuning_job
from eegfm.jobs.train.pretrain import fit_here
from eegfm.jobs.train.result import PretrainResult
from eegfm.store.reader import SignalStore

STRATEGY = {"name": "gradual", "unfreeze_epoch": 2, "block_epochs": 1}


def fit(runs: Path, **changes: Any) -> PretrainResult:
    """Finetune block by block with dropout, six steps an epoch, until patience ends it."""
    asked: dict[str, Any] = {
        "strategy": STRATEGY, "batch_size": 6, "n_epochs": 10, "patience": 5, "checkpoint": {"every_steps": 4},
        "head": {"name": "mlp", "hidden": [8], "dropout_ratio": 0.2}, "monitor": "val_auroc",
    }  # fmt: skip
    return fit_here(finetuning_job(tuning(**asked | changes), TASK, START, seed=5, phase="finetune"), runs)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        write_answered(Path(folder))
        TASK, START = answered_task(SignalStore(Path(folder)), "binary"), start_of()
        killed_trainings.fit = fit
        killed_trainings.run(sys.argv[1])
