"""One process of a training on several devices: ``python -m eegfm.jobs.train.worker JOB``, which ``launch`` starts."""

import sys
from pathlib import Path
from typing import Any

import torch

from eegfm.errors import TrainingError
from eegfm.jobs.train.devices import for_this_machine
from eegfm.jobs.train.exchange import read_job, write_result
from eegfm.jobs.train.pretrain import fit_here
from eegfm.nn.device import training_device
from eegfm.ranks.place import Place
from eegfm.ranks.worker import as_rank


def main(path: Path) -> None:
    """Train on the part of this rank; the first rank writes the result beside the job."""
    with as_rank(path.parent) as place:
        _train(path, place)


def _train(path: Path, place: Place) -> None:
    asked = read_job(path)
    params = for_this_machine(asked.job.params, asked.job.phase)  # on each machine of several
    if training_device(params.accelerator).type == "cuda":
        torch.cuda.set_device(place.local_rank)

    def refuse(fingerprint: str, identity: dict[str, Any]) -> None:
        """Refuse another run than that of the parent, which has refused already what must not be replaced."""
        if fingerprint != asked.fingerprint:
            raise TrainingError(
                f"rank {place.rank} finds another run ({fingerprint}) than the process that started it "
                f"({asked.fingerprint}): data or code changed meanwhile, or machines differ; start it again"
            )

    result = fit_here(asked.job, asked.runs, refuse, place)
    if place.is_first:
        write_result(path.parent, result)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
