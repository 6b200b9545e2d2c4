"""Labels of recordings in a mixture, against plain loops; and what training persons tell of them."""

import logging
import math
from statistics import fmean, pstdev

import numpy as np
import pandas as pd
import pytest

from eegfm.errors import ConfigError
from eegfm.mixture.labels import chosen_labels, with_labels
from eegfm.mixture.table import mixture_sha256
from eegfm.mixture.target_columns import class_names, target_columns

# Two persons of hbn with two recordings each, one of them with a run more; three of tuh, of whom one validates.
RUNS = [
    ("hbn:a1", "hbn", "a", "train"),
    ("hbn:a1", "hbn", "a", "train"),
    ("hbn:a2", "hbn", "a", "train"),
    ("hbn:b1", "hbn", "b", "train"),
    ("tuh:c1", "tuh", "c", "train"),
    ("tuh:d1", "tuh", "d", "train"),
    ("tuh:e1", "tuh", "e", "validation"),
]
AGES = {"hbn:a1": 8.0, "hbn:a2": 10.0, "hbn:b1": 12.0, "tuh:c1": 40.0, "tuh:d1": math.nan, "tuh:e1": 99.0}
SEXES = {"hbn:a1": "M", "hbn:a2": "M", "hbn:b1": "F", "tuh:c1": "", "tuh:d1": "F", "tuh:e1": "X"}
NOBODY = "hbn train 0 of 2, tuh train 0 of 2, tuh validation 1 of 1"


def mixture() -> pd.DataFrame:
    columns = ["recording_id", "corpus", "identity", "split"]
    return pd.DataFrame(RUNS, columns=columns).assign(start=range(len(RUNS)), n_windows=3)


def recordings(**further: dict[str, object]) -> dict[str, pd.DataFrame]:
    """Tables of both corpora, rows in another order than in the mixture, with a recording that no window is of."""
    tables = {}
    for corpus in ("hbn", "tuh"):
        ids = [*sorted((i for i in AGES if i.startswith(corpus)), reverse=True), f"{corpus}:unused"]
        columns = {"age_years": AGES, "sex": SEXES, **further}
        own = {name: [values.get(i) for i in ids] for name, values in columns.items()}
        tables[corpus] = pd.DataFrame({"recording_id": ids, **own})
    return tables


def labelled(names: tuple[str, ...] = ("age", "sex"), **further: dict[str, object]) -> pd.DataFrame:
    return with_labels(mixture(), recordings(**further), names)


def test_labels_are_those_of_the_recording() -> None:
    table = labelled()
    for row in table.itertuples():
        np.testing.assert_equal(row.label_age, AGES[row.recording_id])
        assert (None if pd.isna(row.label_sex) else row.label_sex) == (SEXES[row.recording_id] or None)


def test_a_label_that_one_corpus_lacks_is_unknown_there() -> None:
    tables = recordings(p_factor=dict.fromkeys(AGES, 0.5))
    tables["tuh"] = tables["tuh"].drop(columns="p_factor")
    table = with_labels(mixture(), tables, ["p_factor", "attention"])
    assert table["label_p_factor"].notna().tolist() == [True] * 4 + [False] * 3
    assert "label_attention" not in table, "no corpus has it, and it is one of the default"


def test_numbers_in_one_corpus_and_texts_in_another_are_texts() -> None:
    values: dict[str, object] = {"hbn:a1": 1.0, "hbn:a2": 2.0, "hbn:b1": None, "tuh:c1": "1", "tuh:d1": "b"}
    table = labelled(("grade",), grade=values)
    assert [None if pd.isna(v) else v for v in table["label_grade"]] == ["1", "1", "2", None, "1", "b", None]


@pytest.mark.parametrize(
    ("names", "further", "said"),
    [
        (("agee",), {}, "no corpus has a column 'agee'; there are age_years"),
        (("parts",), {"parts": {key: [1, 2] for key in AGES}}, "holds lists"),
        (("dose",), {"dose": {"hbn:b1": math.inf}}, "'dose' of hbn:b1 is infinite"),
    ],
)
def test_wrong_columns_are_named(names: tuple[str, ...], further: dict[str, dict[str, object]], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        labelled(names, **further)


def test_a_recording_without_a_row_is_an_error() -> None:
    tables = recordings()
    tables["hbn"] = tables["hbn"][tables["hbn"]["recording_id"] != "hbn:b1"]
    with pytest.raises(ConfigError, match=r"1 recordings have windows, but .*hbn:b1"):
        with_labels(mixture(), tables, ["age"])


def test_each_training_person_counts_once() -> None:
    _, facts = chosen_labels(labelled(), {"age": "regression"})
    ages = [fmean([8.0, 10.0]), 12.0, 40.0]  # a, b, c; d's is unknown, e validates
    assert facts["age"].mean == pytest.approx(fmean(ages))
    assert facts["age"].sd == pytest.approx(pstdev(ages))


def test_other_splits_change_nothing_that_is_learnt() -> None:
    table = labelled()
    of_others = table["split"] != "train"
    changed = table.assign(
        label_age=table["label_age"].mask(of_others, 3.0), label_sex=table["label_sex"].mask(of_others, "A")
    )
    kinds = {"age": "regression", "sex": "classes"}
    assert chosen_labels(table, kinds)[1] == chosen_labels(changed, kinds)[1]


def test_classes_are_those_of_training_persons_in_sorted_order(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        table, facts = chosen_labels(labelled(), {"sex": "classes"})
    assert facts["sex"].classes == ("F", "M")
    assert target_columns(table)["sex"].tolist() == [1, 1, 1, 0, -1, 0, -1]
    assert class_names(table, "sex") == ["F", "M"]
    assert "nobody who is trained on has X" in caplog.text
    # Numbers of classes stay, whichever rows a phase draws from.
    assert target_columns(table[table["corpus"] == "tuh"])["sex"].tolist() == [-1, 0, -1]


def test_numbers_can_be_classes() -> None:
    table, facts = chosen_labels(labelled(), {"age": "classes"})
    assert facts["age"].classes == ("10", "12", "40", "8")
    assert target_columns(table)["age"].tolist() == [3, 3, 0, 1, 2, -1, -1]


def test_only_chosen_labels_stay() -> None:
    table = labelled()
    kept, _ = chosen_labels(table, {"sex": "classes"})
    assert set(kept) == {*mixture(), "label_sex"}
    without, facts = chosen_labels(table, {})
    pd.testing.assert_frame_equal(without, mixture())
    assert facts == {}


def test_the_hash_covers_the_labels_that_are_chosen() -> None:
    table, kinds = labelled(), {"sex": "classes"}

    def hashed(changed: pd.DataFrame) -> str:
        return mixture_sha256(chosen_labels(changed, kinds)[0])

    assert hashed(table.assign(label_age=0.0)) == hashed(table)
    assert hashed(table.assign(label_sex=table["label_sex"].replace("M", "F2"))) != hashed(table)
    other_order = table["label_sex"].replace({"M": "F", "F": "M"})
    assert hashed(table.assign(label_sex=other_order)) != hashed(table)


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"label_x": [math.nan] * 6 + [1.0]}, "regression", rf"nobody in split train .*{NOBODY}"),
        ({"label_x": [2.0] * 7}, "regression", "all who are trained on have the label 2"),
        ({"label_x": ["a"] * 7}, "classes", "have 1 classes"),
        ({"label_x": ["a", "b"] * 3 + ["a"]}, "regression", "its label is no number .*a, b.*kind: classes"),
        ({}, "regression", "no corpus of the mixture has this label; there are age, sex"),
    ],
)
def test_labels_that_cannot_be_learnt_are_refused(change: dict[str, list[object]], kind: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        chosen_labels(labelled().assign(**change), {"x": kind})


def test_labels_of_few_persons_are_a_warning_with_counts(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        chosen_labels(labelled(), {"age": "regression"})
        chosen_labels(labelled(), {"age": "regression"}, says=False)
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "hbn train 2 of 2, tuh train 1 of 2, tuh validation 1 of 1" in record.getMessage()
