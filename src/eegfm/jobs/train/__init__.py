"""Training jobs. ``pretraining`` also gives a Lightning module and its data to other programs."""

from eegfm.jobs.train.pretrain import fit_pretraining, pretraining
from eegfm.jobs.train.result import PretrainResult

__all__ = ["PretrainResult", "fit_pretraining", "pretraining"]
