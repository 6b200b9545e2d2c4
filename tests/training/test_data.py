"""From tables to groups of windows."""

import pandas as pd
import pytest

from eegfm.errors import ConfigError
from eegfm.recording import Montage
from eegfm.training.data import corpus_weights, signal_spec, window_groups


@pytest.fixture
def mixture(small: Montage, large: Montage) -> pd.DataFrame:
    rows = [
        ("r0", "hbn", large.name, 0, 20, "pretrain", 0.7),
        ("r3", "hbn", small.name, 40, 20, "pretrain", 0.7),
        ("r1", "hbn", large.name, 30, 20, "pretrain", 0.7),
        ("r2", "hbn", large.name, 0, 20, "validation", 0.7),
        ("r2", "tuh", small.name, 10, 50, "pretrain", 0.3),
    ]
    columns = ["recording_id", "corpus", "montage", "start", "n_samples", "split", "weight"]
    return pd.DataFrame(rows, columns=columns)


def test_groups_are_of_one_montage_and_length(mixture, stores, small: Montage, large: Montage) -> None:
    groups = window_groups(mixture, stores, "pretrain")
    assert list(groups) == ["hbn", "tuh"]
    found = {
        (g.corpus, g.montage, g.n_samples): (g.rows.tolist(), g.scale_rows.tolist()) for c in groups.values() for g in c
    }
    assert found == {
        ("hbn", large.name, 20): ([0, 120], [0, 1]),
        ("hbn", small.name, 20): ([310], [3]),
        ("tuh", small.name, 50): ([190], [2]),
    }
    assert list(window_groups(mixture, stores, "validation")) == ["hbn"]


def test_spec_holds_the_longest_window_of_each_montage(mixture, stores, small: Montage, large: Montage) -> None:
    spec = signal_spec(mixture, stores)
    assert spec.rate_hz == 100.0
    assert spec.montages == {small.name: small, large.name: large}
    assert spec.n_samples == {small.name: 50, large.name: 20}


def test_weights_are_one_per_corpus(mixture) -> None:
    assert corpus_weights(mixture) == {"hbn": 0.7, "tuh": 0.3}
    mixture.loc[0, "weight"] = 0.6
    with pytest.raises(ConfigError, match="corpus hbn has several weights"):
        corpus_weights(mixture)
    with pytest.raises(ConfigError, match="holds no window"):
        corpus_weights(mixture.iloc[:0])


def test_stores_that_do_not_fit_are_refused(mixture, stores) -> None:
    with pytest.raises(ConfigError, match=r"corpus tuh, which has no signal store"):
        signal_spec(mixture, {"hbn": stores["hbn"]})
    stores["tuh"].rate_hz = 200.0
    with pytest.raises(ConfigError, match=r"differ in sampling rate"):
        signal_spec(mixture, stores)
