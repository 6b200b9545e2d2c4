"""Who is trained on, who selects and who is tested."""

import pandas as pd
import pytest

from eegfm.errors import SplitError
from eegfm.jobs.finetune.divisions import Division, divide
from eegfm.splits.leakage import SplitTable
from person_tables import split_table

FOLDS = (0, 0, 1, 1, 2, 2, 3)


def once() -> pd.DataFrame:
    return split_table(
        {f"c:{k}": split for k, split in enumerate(("train", "train", "validation", "test", "excluded"))}
    )


def folded() -> pd.DataFrame:
    """Seven persons to test in four folds, two with one identity, and one who is excluded."""
    table = split_table({f"c:{k}": "test" for k in range(7)} | {"c:out": "excluded"})
    table.loc[table["split"] == "test", "fold"] = FOLDS
    return table


def of(table: pd.DataFrame, split: str) -> list[str]:
    return sorted(table.loc[table["split"] == split, "person"])


@pytest.mark.parametrize("evaluation", ["auto", "split"])
def test_with_somebody_to_train_on_the_splits_are_those_of_the_table(evaluation: str) -> None:
    splits = once()
    [division] = divide(splits, splits["person"], evaluation, "c.task")  # type: ignore[arg-type]
    assert (division.name, division.is_fold) == ("split", False)
    pd.testing.assert_frame_equal(division.splits, splits)


def folds_of(splits: pd.DataFrame) -> list[Division]:
    divisions = divide(splits, splits["person"], "auto", "c.task")
    assert [division.name for division in divisions] == ["fold 0", "fold 1", "fold 2", "fold 3"]
    assert all(division.is_fold for division in divisions)
    return divisions


def test_every_person_is_tested_once_and_in_one_split_of_each_fold() -> None:
    splits = folded()
    divisions = folds_of(splits)
    tested = [person for division in divisions for person in of(division.splits, "test")]
    assert sorted(tested) == of(splits, "test")
    for division in divisions:
        SplitTable(division.splits)  # does not contradict itself
        table = division.splits
        assert table["person"].is_unique
        assert of(table, "excluded") == ["c:out"]
        assert len(of(table, "train")) + len(of(table, "validation")) + len(of(table, "test")) == 7
        assert table.groupby("identity")["split"].nunique().max() == 1
        assert (table.loc[table["split"] != "test", "fold"] == -1).all()


def test_the_next_fold_selects_and_the_last_one_begins_again() -> None:
    divisions = folds_of(folded())
    assert [of(division.splits, "test") for division in divisions] == [
        ["c:0", "c:1"],
        ["c:2", "c:3"],
        ["c:4", "c:5"],
        ["c:6"],
    ]
    selects = [of(division.splits, "validation") for division in divisions]
    assert selects == [["c:2", "c:3"], ["c:4", "c:5"], ["c:6"], ["c:0", "c:1"]]


def test_training_persons_stay_in_training_in_a_cross_validation() -> None:
    splits = pd.concat([folded(), split_table({"c:t": "train", "c:v": "validation"})], ignore_index=True)
    divisions = divide(splits, splits["person"], "cross_validation", "c.task")
    assert all("c:t" in of(division.splits, "train") for division in divisions)
    assert all("c:v" in of(division.splits, "validation") for division in divisions)


def test_a_person_under_two_names_stays_together() -> None:
    splits = folded()
    splits.loc[splits["person"].isin(["c:0", "c:1"]), "identity"] = "c:0"
    for division in folds_of(splits):
        assert division.splits.set_index("person")["split"].loc[["c:0", "c:1"]].nunique() == 1


def test_splits_that_put_two_names_of_a_person_apart_are_refused() -> None:
    splits = folded()
    splits.loc[splits["person"].isin(["c:0", "c:6"]), "identity"] = "c:0"
    first, *_ = divide(splits, splits["person"], "auto", "c.task")
    with pytest.raises(SplitError, match="c:0"):
        SplitTable(first.splits)


def test_nobody_to_train_on_or_to_test() -> None:
    splits = once()
    for person in ("c:0", "c:3"):
        with pytest.raises(SplitError, match=r"task c\.task: persons with an answer by split: .*cross_validation"):
            divide(splits, pd.Series([person]), "split", "c.task")
    with pytest.raises(SplitError, match=r"have 1 folds; .*takes 3 or more.*raise split\.folds"):
        divide(splits, splits["person"], "cross_validation", "c.task")


def test_more_folds_than_asked_for_are_held_out_together() -> None:
    """One fold for each person, as ``split.folds: leave_one_person_out`` has them."""
    splits = split_table({f"c:{k}": "test" for k in range(11)}).assign(fold=range(11))
    divisions = divide(splits, splits["person"], "auto", "c.task", 4)
    tested = [of(division.splits, "test") for division in divisions]
    assert [len(persons) for persons in tested] == [3, 3, 3, 2]
    assert sorted(person for persons in tested for person in persons) == sorted(splits["person"])
    for division, following in zip(divisions, [*tested[1:], tested[0]], strict=True):
        assert of(division.splits, "validation") == following
