"""Training jobs. ``pretraining`` and ``finetuning`` also give a Lightning module and its data to other programs."""

from eegfm.jobs.train.finetuning import FinetuningTask, finetuning
from eegfm.jobs.train.pretrain import fit_pretraining, pretraining
from eegfm.jobs.train.result import PretrainResult

__all__ = ["FinetuningTask", "PretrainResult", "finetuning", "fit_pretraining", "pretraining"]
