"""Training jobs. ``pretraining`` also gives a Lightning module and its data to other programs."""

from eegfm.jobs.train.pretrain import PretrainResult, fit_pretraining, pretraining

__all__ = ["PretrainResult", "fit_pretraining", "pretraining"]
