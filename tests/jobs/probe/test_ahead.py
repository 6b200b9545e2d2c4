"""What a probe would refuse after the training is refused before it."""

from typing import Any

import pandas as pd
import pytest

from eegfm.encoders.config import EegnetConfig, PatchTransformerConfig
from eegfm.errors import CheckpointError, ConfigError, SplitError
from eegfm.evaluation.config import TaskParams
from eegfm.jobs.probe.ahead import check_ahead
from eegfm.store.reader import SignalStore
from eegfm.training.config import PretrainParams
from jobs.probe.test_probe import PARAMS, _splits

TRAINED = PretrainParams(encoder=PatchTransformerConfig(d_model=16, head_size=8, n_layers=1), n_steps=1)


def check(
    store: SignalStore,
    windows: pd.DataFrame,
    splits: pd.DataFrame | None = None,
    encoder: Any = None,
    trained_samples: int = 400,
    **changes: Any,
) -> None:
    mixture = windows.assign(n_samples=trained_samples)
    params = TRAINED.model_copy(update={"encoder": encoder} if encoder else {})
    probed = PARAMS.model_copy(update=changes)
    split = _splits() if splits is None else splits
    check_ahead(mixture, {"sim": store}, params, {"sim": store}, {"sim": windows}, split, probed)


def test_a_probe_that_will_work_is_not_refused(store: SignalStore, windows: pd.DataFrame) -> None:
    check(store, windows)


def test_persons_classes_and_folds(store: SignalStore, windows: pd.DataFrame) -> None:
    few = _splits(p0="train", p1="train", p2="train", p3="train")
    with pytest.raises(SplitError, match=r"40 labelled windows of 2 test persons .*at least 3 persons"):
        check(store, windows, few)
    with pytest.raises(SplitError, match="0 labelled windows of 0 test persons"):
        check(store, windows.assign(label=None))
    with pytest.raises(ConfigError, match=r"sim\.window\.cuts has no 'other'"):
        check(store, windows, tasks=(*PARAMS.tasks, TaskParams(name="other")))
    one_each = windows[windows["recording_id"].str.endswith("R01") == (windows["person"] == "sim:p0")]
    with pytest.raises(SplitError, match="fold 0 of 6"):
        check(store, one_each)


def test_windows_that_the_encoder_does_not_take(store: SignalStore, windows: pd.DataFrame) -> None:
    with pytest.raises(CheckpointError, match=r"200 samples are no whole number of the encoder's patches of 150"):
        check(store, windows, encoder=PatchTransformerConfig(d_model=16, head_size=8, patch_s=1.5), trained_samples=600)
    with pytest.raises(CheckpointError, match="the encoder is tied to windows of 400 samples"):
        check(store, windows, encoder=EegnetConfig())
