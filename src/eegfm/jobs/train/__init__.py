"""Training jobs; ``pretraining`` gives a Lightning module and its data to programs of other authors."""

from eegfm.jobs.train.pretrain import PretrainResult, fit_pretraining, pretraining

__all__ = ["PretrainResult", "fit_pretraining", "pretraining"]
