"""Fingerprint of a training run: a hash of everything that decides its weights."""

from collections.abc import Mapping

import pandas as pd

from eegfm.inference.encoder_code import implementations
from eegfm.jobs.train.data import TrainingData
from eegfm.provenance import sha256_of
from eegfm.source_code import code_sha256
from eegfm.store.stores import Stores
from eegfm.training.config import PretrainParams

_TRAINING = "eegfm.jobs.train.pretrain"
_DATA_CODE = ("windows",)
"""Code that does not count for a run: what it gives, the mixture, counts itself."""


def run_fingerprint(params: PretrainParams, data: TrainingData, signals: Mapping[str, str]) -> str:
    """Name of a run: what decides its result, the machine left out."""
    identity = {
        "params": params.identity(),
        "mixture": data.mixture_sha256,
        "filters": data.filters,
        "signals": signals,
        "code": code_sha256(_TRAINING, *implementations(params), without=_DATA_CODE),
    }
    return sha256_of(identity)[:12]


def signals_of(mixture: pd.DataFrame, stores: Stores) -> dict[str, str]:
    """By corpus, the hash of the signals of all recordings that the mixture draws from."""
    by_corpus = mixture.groupby("corpus", sort=True)["recording_id"]
    return {str(corpus): stores[str(corpus)].signals_sha256(set(names)) for corpus, names in by_corpus}
