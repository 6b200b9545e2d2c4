import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.errors import ConfigError, SplitError
from eegfm.windows.config import MixtureParams
from eegfm.windows.mixture import mix_windows, mixture_sha256

SPLIT_OF = {"p0": "pretrain", "p1": "pretrain", "p2": "validation", "p3": "evaluation", "p4": "excluded"}


def _windows(corpus, persons=tuple(SPLIT_OF), task="pretrain"):
    rows = [(f"{corpus}:{p}:r", corpus, "2ch", f"{corpus}:{p}", task, start) for p in persons for start in (0, 400)]
    return pd.DataFrame(rows, columns=["recording_id", "corpus", "montage", "person", "task", "start"]).assign(
        segment=0, n_samples=400, label=None, target=float("nan")
    )


def _splits(*corpora):
    rows = [(f"{c}:{p}", c, split, "") for c in corpora for p, split in SPLIT_OF.items()]
    return pd.DataFrame(rows, columns=["person", "corpus", "split", "reason"])


def test_only_trained_persons_and_the_named_cut():
    windows = {
        "hbn": pd.concat([_windows("hbn"), _windows("hbn", task="eyes")]),
        "tuh": _windows("tuh").sample(frac=1, random_state=0),
    }
    mixture = mix_windows(windows, _splits("hbn", "tuh"), MixtureParams())
    assert set(mixture["task"]) == {"pretrain"}
    assert set(mixture["person"]) == {f"{c}:p{k}" for c in ("hbn", "tuh") for k in range(3)}
    assert mixture.groupby("corpus")["weight"].unique().map(list).to_dict() == {"hbn": [0.7], "tuh": [0.3]}
    assert mixture.set_index("person")["split"].to_dict() == {
        f"{c}:{p}": SPLIT_OF[p] for c in ("hbn", "tuh") for p in ("p0", "p1", "p2")
    }


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000))
def test_order_of_rows_changes_nothing(seed):
    windows = {"tuh": _windows("tuh"), "hbn": _windows("hbn")}
    shuffled = {c: table.sample(frac=1, random_state=seed) for c, table in reversed(windows.items())}
    one = mix_windows(windows, _splits("hbn", "tuh"), MixtureParams())
    two = mix_windows(shuffled, _splits("tuh", "hbn").sample(frac=1, random_state=seed), MixtureParams())
    pd.testing.assert_frame_equal(one, two)
    assert mixture_sha256(one) == mixture_sha256(two)
    assert mixture_sha256(one) != mixture_sha256(one.assign(start=one["start"] + 1))


def test_absent_corpus_is_left_out_and_said(caplog):
    mixture = mix_windows({"hbn": _windows("hbn")}, _splits("hbn"), MixtureParams())
    assert set(mixture["weight"]) == {1.0}
    assert "not part of this run: tuh" in caplog.text
    assert "hbn 1" in caplog.text


def test_corpus_without_weight_is_refused():
    windows = {"hbn": _windows("hbn"), "other": _windows("other")}
    with pytest.raises(ConfigError, match=r"no weight for corpus other; weights are given for \['hbn', 'tuh'\]"):
        mix_windows(windows, _splits("hbn", "other"), MixtureParams())


def test_corpus_that_is_only_evaluated_needs_no_weight():
    windows = {"hbn": _windows("hbn"), "probed": _windows("probed", ["p3"])}
    mixture = mix_windows(windows, _splits("hbn", "probed"), MixtureParams(weights={"hbn": 1}))
    assert set(mixture["corpus"]) == {"hbn"}


def test_empty_split_says_the_counts():
    with pytest.raises(SplitError, match=r"split validation .*hbn pretrain 4"):
        mix_windows({"hbn": _windows("hbn", ["p0", "p1"])}, _splits("hbn"), MixtureParams())
    with pytest.raises(SplitError, match=r"corpus tuh .*tuh validation 2"):
        mix_windows({"hbn": _windows("hbn"), "tuh": _windows("tuh", ["p2"])}, _splits("hbn", "tuh"), MixtureParams())
    with pytest.raises(SplitError, match="no window of cut 'movies'"):
        mix_windows({"hbn": _windows("hbn")}, _splits("hbn"), MixtureParams(task="movies"))


def test_person_in_two_splits_is_refused():
    splits = pd.concat(
        [
            _splits("hbn"),
            pd.DataFrame([("hbn:p3", "hbn", "pretrain", "planted")], columns=_splits("hbn").columns),
        ]
    )
    with pytest.raises(SplitError, match="hbn:p3"):
        mix_windows({"hbn": _windows("hbn")}, splits, MixtureParams(weights={"hbn": 1}))


def test_person_without_split_is_refused():
    with pytest.raises(SplitError, match=r"hbn: 1 persons have windows but no split \(first: hbn:new\)"):
        mix_windows({"hbn": _windows("hbn", ["p0", "new"])}, _splits("hbn"), MixtureParams())
