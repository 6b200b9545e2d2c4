"""Windows are checked against the splits: by recording, whatever their rows say."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.batch import WindowIndex
from eegfm.errors import SplitError
from eegfm.splits.leakage import Seen, SplitTable, check_rows
from eegfm.splits.splits import splits_sha256
from person_tables import channels, short_hash, split_table

SPLIT_OF = {
    "a:1": "train",
    "a:2": "train",
    "a:3": "validation",
    "a:4": "test",
    "a:5": "excluded",
    "b:9": "train",
}


@pytest.fixture
def splits() -> pd.DataFrame:
    table = split_table(SPLIT_OF)
    # One person in two corpora.
    table.loc[table["person"] == "b:9", "identity"] = "a:1"
    table["keys"] = table["identity"].map({p: [p] for p in SPLIT_OF} | {"a:1": ["a:1", "b:9"]})
    return table


@pytest.fixture
def mixture(splits: pd.DataFrame) -> pd.DataFrame:
    rows = splits[splits["split"].isin(["train", "validation"])]
    table = rows[["person", "identity", "split"]].assign(recording_id=rows["person"] + ":r", corpus=rows["corpus"])
    return pd.concat([table.assign(start=start) for start in (0, 400)], ignore_index=True)


def test_a_mixture_that_keeps_to_the_splits_passes(splits: pd.DataFrame, mixture: pd.DataFrame) -> None:
    SplitTable(splits).check_training(mixture)
    SplitTable(splits).check_training(mixture.drop(columns="identity").iloc[::-1])


def _edit(mixture: pd.DataFrame, **changes: str) -> pd.DataFrame:
    """Change the row of person a:2 by hand."""
    edited = mixture.copy()
    row = edited.index[edited["person"] == "a:2"][0]
    for column, value in changes.items():
        edited.loc[row, column] = value
    return edited


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "validation"}, r"1 persons \(a:2\) in another split"),
        ({"person": "a:4"}, r"1 recordings are of another person than said: a:2:r is of a:2;"),
        ({"identity": "a:3"}, r"another identity than said: a:2:r is of a:2"),
        ({"recording_id": "a:4:r"}, r"another person than said: a:4:r is of a:4"),
        ({"recording_id": "a:4:r", "person": "a:4"}, r"another identity than said: a:4:r is of a:4"),
        (
            {"recording_id": "a:4:r", "person": "a:4", "identity": "a:4"},
            r"1 persons \(a:4\), kept out of training in split test",
        ),
        (
            {"recording_id": "a:5:r", "person": "a:5", "identity": "a:5"},
            r"1 persons \(a:5\), kept out of training in split excluded",
        ),
        ({"recording_id": "a:3:r", "person": "a:3", "identity": "a:3"}, r"1 persons \(a:3\) in another split"),
        ({"recording_id": "a:7:r"}, r"1 recordings are in no split: a:7:r"),
        ({"split": "test"}, r"names splits \['test', 'train', 'validation'\]"),
    ],
)
def test_a_planted_leak_is_caught(
    splits: pd.DataFrame, mixture: pd.DataFrame, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(SplitError, match=message):
        SplitTable(splits).check_training(_edit(mixture, **changes))


def test_a_leak_in_the_splits_is_caught(splits: pd.DataFrame) -> None:
    """The second name of a person is moved to the test split."""
    moved = splits.copy()
    moved.loc[moved["person"] == "b:9", ["split", "fold"]] = ["test", 1]
    with pytest.raises(SplitError, match="1 identities with more than one split: a:1"):
        SplitTable(moved)
    moved.loc[moved["person"] == "b:9", "identity"] = "b:9"
    with pytest.raises(SplitError, match="keys with more than one identity: a:1, b:9"):
        SplitTable(moved)


def test_windows_to_test_on(splits: pd.DataFrame, mixture: pd.DataFrame) -> None:
    table = SplitTable(splits)
    windows = pd.DataFrame({"recording_id": ["a:4:r"], "person": ["a:4"]})
    table.check_test(windows)
    with pytest.raises(SplitError, match=r"3 persons \(a:1, a:2, b:9\) would be tested on, but are in split train"):
        table.check_test(mixture[mixture["split"] == "train"])
    with pytest.raises(SplitError, match=r"another person than said: a:1:r is of a:1"):
        table.check_test(windows.assign(recording_id="a:1:r"))


def test_a_table_without_recordings_cannot_guard(splits: pd.DataFrame) -> None:
    with pytest.raises(SplitError, match="no column recordings; split again"):
        SplitTable(splits.drop(columns="recordings"))


def test_what_goes_into_a_checkpoint(splits: pd.DataFrame, mixture: pd.DataFrame) -> None:
    table = SplitTable(splits)
    seen = table.seen(mixture["recording_id"])
    assert seen.persons == [["a:1", "b:9"], ["a:2"], ["a:3"]]
    assert seen.signals == sorted(short_hash(f"{p}:r") for p in ("a:1", "a:2", "a:3", "b:9"))
    # All names and signals of a person, also of recordings that no window is from.
    assert table.seen(["a:1:r"]) == Seen([["a:1", "b:9"]], sorted(short_hash(f"{p}:r") for p in ("a:1", "b:9")))
    assert table.kept_out() == {"invented": ["a:4", "a:5"]}
    assert table.sha256 == splits_sha256(splits)


def test_persons_that_were_met_before(splits: pd.DataFrame) -> None:
    table = SplitTable(splits)
    tested = ["a:4:r"]
    assert table.met(tested, Seen([["a:1", "b:9"]], [short_hash("a:1:r")]), {}) == ([], [])
    assert table.met(tested, Seen([["a:4"]], []), {}) == (["a:4"], [])
    assert table.met(tested, Seen([], [short_hash("a:4:r")]), {}) == (["a:4"], ["a:4:r"])
    # The recording has another name and other channels here, one of which is known.
    hashes = {"a:4:r": channels("own", "", "known"), "a:1:r": channels("other")}
    assert table.met(tested, Seen([], [short_hash("known")]), hashes) == (["a:4"], ["a:4:r"])
    assert table.met(tested, Seen([], [short_hash("other")]), hashes) == ([], [])
    # Of several channels that were kept of a recording any one is enough.
    signals = [[f"{2 * k:016x} {2 * k + 1:016x}"] for k in range(len(splits))]
    several = SplitTable(splits.assign(signals=signals))
    shorts = several.seen(tested).signals
    assert len(shorts) == 2
    assert all(several.met(tested, Seen([], [short]), {}).recordings == ["a:4:r"] for short in shorts)
    # Another name of the same person.
    assert table.met(["a:1:r"], Seen([["b:9"]], []), {}) == (["a:1"], [])
    assert table.met(["a:1:r"], Seen([], [short_hash("b:9:r")]), {}) == (["a:1"], ["b:9:r"])


def _index(
    first_rows: list[int], *, n_windows: list[int] | None = None, montage: str = "m", stride: int = 4
) -> WindowIndex:
    n = len(first_rows)
    return WindowIndex(
        "a",
        montage,
        10,
        stride,
        np.array(first_rows, dtype=np.int64),
        np.zeros(n, dtype=np.int32),
        np.zeros(n, dtype=np.int32),
        None if n_windows is None else np.cumsum(n_windows),
    )


def test_samples_in_common_are_found() -> None:
    check_rows({"a": [_index([0, 100])]}, {"a": [_index([10, 90])]})
    for row in (1, 9, 91, 105):
        with pytest.raises(SplitError, match="a, montage m: windows to train on and to validate on share samples"):
            check_rows({"a": [_index([0, 100])]}, {"a": [_index([50, row])]})
    # Three windows of a run reach 18 samples far.
    check_rows({"a": [_index([0], n_windows=[3])]}, {"a": [_index([18])]})
    with pytest.raises(SplitError):
        check_rows({"a": [_index([0], n_windows=[3])]}, {"a": [_index([17])]})
    check_rows({"a": [_index([0])]}, {"a": [_index([0], montage="other")]})
    check_rows({"a": [_index([0])]}, {"b": [_index([0])]})
    check_rows({"a": [_index([0, 5, 0])]}, {"a": [_index([])]})


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_overlap_agrees_with_a_set_of_samples(data: st.DataObject) -> None:
    def draw() -> tuple[WindowIndex, set[int]]:
        rows = data.draw(st.lists(st.integers(0, 120), max_size=4))
        counts = data.draw(st.lists(st.integers(1, 3), min_size=len(rows), max_size=len(rows)))
        covered = {r + 12 * w + s for r, n in zip(rows, counts, strict=True) for w in range(n) for s in range(10)}
        return _index(rows, n_windows=counts, stride=12), covered

    (one, mine), (other, theirs) = draw(), draw()
    # Runs are taken whole: the gaps between their windows are of the same person.
    gaps = {row + 10 + 12 * w + k for i in (one, other) for row in i.first_rows for w in range(3) for k in (0, 1)}
    try:
        check_rows({"a": [one]}, {"a": [other]})
        assert not mine & theirs
    except SplitError:
        assert (mine | gaps) & (theirs | gaps)
