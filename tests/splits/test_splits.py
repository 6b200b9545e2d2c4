"""One split per person over all corpora: by role, by test set, by a stable hash."""

import logging

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from eegfm.errors import SplitError
from eegfm.splits.config import Roles, SplitParams
from eegfm.splits.splits import COLUMNS, check_splits, split_persons, splits_sha256
from person_tables import channels, letters, people, split_table

PARAMS = SplitParams(validation_ratio=0.3, test_ratio=0.3)


def _numbered(corpus, numbers, **columns):
    return people(corpus, [f"p{n}" for n in numbers], **columns)


def _as_dict(splits):
    return dict(zip(splits["person"], splits["split"], strict=True))


def test_columns():
    splits = split_persons({"a": _numbered("a", range(60))}, Roles(pretrain=["a"], probe=["a"]), PARAMS)
    assert list(splits.columns) == list(COLUMNS)
    assert {name: str(splits[name].dtype) for name in COLUMNS} == COLUMNS
    assert splits["person"].tolist() == sorted(splits["person"])
    assert (splits["reason"].str.len() > 0).all()
    assert splits["recordings"].map(len).tolist() == splits["signals"].map(len).tolist() == [1] * 60


def test_a_table_that_came_back_from_a_file_is_the_same(tmp_path):
    splits = split_persons({"a": _numbered("a", range(60))}, Roles(pretrain=["a"], probe=["a"]), PARAMS)
    splits.to_parquet(tmp_path / "splits.parquet", index=False)
    back = pd.read_parquet(tmp_path / "splits.parquet")
    check_splits(back)
    assert splits_sha256(back) == splits_sha256(splits)


PEOPLE = st.lists(st.integers(0, 10_000), min_size=12, max_size=60, unique=True)


@settings(max_examples=25, deadline=None)
@given(numbers=PEOPLE, n_more=st.integers(0, 30), seed=st.integers(0, 9), folds=st.sampled_from([2, 3]))
def test_growth_and_order_move_nobody(numbers, n_more, seed, folds):
    roles, params = Roles(pretrain=["a", "b"], probe=["a"]), PARAMS.model_copy(update={"folds": folds})
    few = {c: _numbered(c, numbers) for c in "ab"}
    grown = [*range(20_000, 20_000 + n_more), *numbers]
    many = {c: _numbered(c, grown).sample(frac=1, random_state=seed) for c in "ba"}
    try:
        before = split_persons(few, roles, params)
    except SplitError:
        assume(False)
    after = split_persons(many, roles, params).set_index("person")
    for name in ("split", "fold", "identity"):
        assert after.loc[before["person"], name].tolist() == before[name].tolist()


def test_roles_decide_which_splits_a_corpus_feeds():
    tables = {c: _numbered(c, range(200)) for c in ("both", "train", "tested", "none")}
    splits = split_persons(tables, Roles(pretrain=["both", "train"], probe=["both"]), PARAMS)
    ratio = splits.groupby("corpus")["split"].value_counts(normalize=True)
    assert ratio["both", "test"] == pytest.approx(0.3, abs=0.1)
    assert ratio["both", "validation"] == pytest.approx(0.7 * 0.3, abs=0.1)
    assert ratio["train"].index.sort_values().tolist() == ["train", "validation"]
    assert ratio["train", "validation"] == pytest.approx(0.3, abs=0.1)
    assert ratio["none"].to_dict() == {"excluded": 1.0}
    only = split_persons(tables, Roles(pretrain=["train"], probe=["tested"]), PARAMS)
    assert set(only.loc[only["corpus"] == "tested", "split"]) == {"test"}


def test_who_is_in_which_split_is_what_it_always_was():
    """Drawn at 4c46399, where the splits had other names."""
    splits = split_persons({"a": _numbered("a", range(24))}, Roles(pretrain=["a"], probe=["a"]), PARAMS)
    drawn = {split: {int(name[3:]) for name in rows["person"]} for split, rows in splits.groupby("split")}
    assert drawn["test"] == {0, 4, 6, 9, 14, 15, 18, 19, 20, 21, 23}
    assert drawn["validation"] == {1, 13, 16, 22}


def test_test_ratio_does_not_move_validation_to_training():
    tables = {"a": _numbered("a", range(200))}
    roles = Roles(pretrain=["a"], probe=["a"])
    small = _as_dict(split_persons(tables, roles, PARAMS))
    large = _as_dict(split_persons(tables, roles, SplitParams(validation_ratio=0.3, test_ratio=0.5)))
    assert {(small[p], large[p]) for p in small} == {
        ("train", "train"),
        ("train", "test"),
        ("validation", "validation"),
        ("validation", "test"),
        ("test", "test"),
    }


def _tuab(n, n_test):
    official = ["eval" if k < n_test else "train" for k in range(n)]
    return people("tuab", [letters(k) for k in range(n)], family="tuab", official_split=official)


def test_persons_of_test_sets_never_enter_pretraining():
    tables = {"tuab": _tuab(60, 20), "tuh": people("tuh", [letters(k) for k in range(10, 80)], family="tueg")}
    tables["b"] = _numbered("b", range(60))
    tests = {f"TUEG:{letters(k)}" for k in range(20)}
    roles = Roles(pretrain=["tuab", "tuh", "b"], probe=["b"])
    for probe, expected in (("b", "excluded"), ("tuab", "test")):
        splits = split_persons(tables, roles.model_copy(update={"probe": [probe]}), PARAMS)
        found = splits[splits["identity"].isin(tests)]
        assert set(found["split"]) == {expected}
        assert set(found["reason"]) == {"official test set tuab eval"}
        assert len(found) == 30


def test_whatever_is_only_probed_is_removed_from_the_pretraining_corpus():
    tables = {"tuab": _tuab(20, 5), "tuh": people("tuh", [letters(k) for k in range(60)], family="tueg")}
    splits = split_persons(tables, Roles(pretrain=["tuh"], probe=["tuab"]), PARAMS).set_index("person")
    assert set(splits.loc[[f"tuh:{letters(k)}" for k in range(20)], "split"]) == {"test"}
    assert set(splits.loc[[f"tuh:{letters(k)}" for k in range(20, 60)], "split"]) == {"train", "validation"}
    assert splits.loc[f"tuh:{letters(10)}", "reason"] == "corpus tuab is only probed"
    assert splits.loc[f"tuh:{letters(10)}", "fold"] == splits.loc[f"tuab:{letters(10)}", "fold"]


def test_held_out_persons_stay_out():
    tables = {"tuh": people("tuh", [letters(k) for k in range(60)], family="tueg")}
    params = PARAMS.model_copy(update={"held_out": {"tuab": tuple(letters(k) for k in range(10))}})
    splits = _as_dict(split_persons(tables, Roles(pretrain=["tuh"]), params))
    assert {k for k in range(60) if splits[f"tuh:{letters(k)}"] == "excluded"} == set(range(10))


@pytest.mark.parametrize("link", ["id", "declared", "signal"])
def test_a_new_link_only_moves_persons_out_of_training(link):
    rank = {"train": 0, "validation": 1, "test": 2, "excluded": 2}
    roles = Roles(pretrain=["a", "b"], probe=["a"])
    tables = {c: _numbered(c, range(40)) for c in "ab"}
    before = _as_dict(split_persons(tables, roles, PARAMS))
    params = PARAMS
    if link == "id":
        params = PARAMS.model_copy(update={"linked_corpora": (("a", "b"),)})
    elif link == "declared":
        params = PARAMS.model_copy(update={"same_persons": tuple((f"a:p{k}", f"b:p{39 - k}") for k in range(40))})
    else:
        tables["b"]["signal_hashes"] = tables["a"]["signal_hashes"]
    splits = split_persons(tables, roles, params)
    after = _as_dict(splits)
    assert splits["identity"].nunique() == 40
    assert splits.groupby("identity")["split"].nunique().eq(1).all()
    moved = [p for p in before if before[p] != after[p]]
    assert moved
    assert all(rank[after[p]] > rank[before[p]] for p in moved)


def test_joined_persons_say_so_in_their_reason():
    tables = {"a": _numbered("a", range(40)), "b": _numbered("b", range(40))}
    tables["b"].at[3, "signal_hashes"] = tables["a"].at[5, "signal_hashes"]
    splits = split_persons(tables, Roles(pretrain=["a", "b"]), PARAMS).set_index("person")
    assert splits.loc["a:p5", "identity"] == splits.loc["b:p3", "identity"] == "a:p5"
    assert splits.loc["b:p3", "reason"].endswith("; one person by equal signals: a:0005 = b:0003")
    assert splits["reason"].str.contains("equal signals").sum() == 2


def test_respelt_persons_draw_once():
    """A second spelling is no second chance to be held out."""
    tables = {"a": _numbered("a", range(100))}
    twice = {"a": pd.concat([tables["a"], tables["a"].assign(recording_id=lambda t: t["recording_id"] + "x")])}
    twice["a"]["person"] = [*tables["a"]["person"], *("a:sub-P" + tables["a"]["person"].str[3:])]
    one = _as_dict(split_persons(tables, Roles(pretrain=["a"]), PARAMS))
    two = _as_dict(split_persons(twice, Roles(pretrain=["a"]), PARAMS))
    assert two.items() >= one.items()
    assert all(two[f"a:sub-P{p[3:]}"] == split for p, split in one.items())


def test_folds_hold_identities_out_together():
    tables = {"a": _numbered("a", range(40)), "b": _numbered("b", range(40))}
    params = PARAMS.model_copy(update={"linked_corpora": (("a", "b"),), "folds": 3})
    splits = split_persons(tables, Roles(pretrain=["a"], probe=["b"]), PARAMS.model_copy(update={"folds": 3}))
    assert set(splits.loc[splits["split"] == "test", "fold"]) == {0, 1, 2}
    assert set(splits.loc[splits["split"] != "test", "fold"]) == {-1}
    joined = split_persons(
        tables | {"c": _numbered("c", range(50, 90))}, Roles(pretrain=["a", "c"], probe=["b"]), params
    )
    assert joined.groupby("identity")["fold"].nunique().eq(1).all()
    alone = split_persons({"a": tables["a"]}, Roles(pretrain=["a"], probe=["a"]), PARAMS)
    tested = alone[alone["split"] == "test"]
    assert tested["fold"].tolist() == list(range(len(tested)))


def test_stratified_quotas_are_exact():
    kind = ["normal"] * 60 + ["abnormal"] * 40
    tables = {"tuab": people("tuab", [letters(k) for k in range(100)], family="tuab", pathology=kind)}
    tables["b"] = _numbered("b", range(50))
    params = SplitParams(validation_ratio=0.25, test_ratio=0.2, stratify_by="pathology", folds=4)
    splits = split_persons(tables, Roles(pretrain=["tuab", "b"], probe=["tuab"]), params)
    counts = splits.assign(kind=["-"] * 50 + kind).groupby(["corpus", "kind", "split"]).size().to_dict()
    assert counts == {
        ("tuab", "normal", "test"): 12,
        ("tuab", "abnormal", "test"): 8,
        ("tuab", "normal", "validation"): 12,
        ("tuab", "abnormal", "validation"): 8,
        ("tuab", "normal", "train"): 36,
        ("tuab", "abnormal", "train"): 24,
        # A quarter of 50 lies between two numbers.
        ("b", "-", "validation"): 12,
        ("b", "-", "train"): 38,
    }
    folds = splits.assign(kind=["-"] * 50 + kind)[splits["split"] == "test"].groupby(["fold", "kind"]).size()
    assert folds.tolist() == [2, 3] * 4


def test_a_person_of_both_classes_is_a_stratum_of_its_own():
    kind = ["normal", "abnormal"] * 50
    table = people("tuab", [letters(k // 2) for k in range(100)], family="tuab", pathology=kind)
    splits = split_persons(
        {"tuab": table}, Roles(pretrain=["tuab"]), PARAMS.model_copy(update={"stratify_by": "pathology"})
    )
    assert (splits["split"] == "validation").sum() == 15


def test_strata_must_be_classes():
    tables = {"a": _numbered("a", range(40), age_years=30.5, site="x", empty="")}
    for column, message in (
        ("empty", r"column 'empty' is empty in all recordings"),
        ("sex", r"no corpus has a column 'sex'; there are .*site"),
        ("age_years", r"'age_years' of corpus a holds values of kind floating, no classes"),
        ("signal_hashes", r"of kind mixed"),
    ):
        with pytest.raises(SplitError, match=message):
            split_persons(tables, Roles(pretrain=["a"]), PARAMS.model_copy(update={"stratify_by": column}))


def test_empty_split_says_the_counts():
    roles = Roles(pretrain=["a"], probe=["b"])
    tables = {"a": _numbered("a", range(3)), "b": _numbered("b", range(2))}
    with pytest.raises(SplitError, match=r"split validation .*a train 3; b test 2"):
        split_persons(tables, roles, SplitParams(validation_ratio=1e-9))
    assert set(split_persons(tables, roles, SplitParams(validation_ratio=0))["split"]) == {"train", "test"}
    with pytest.raises(SplitError, match=r"split\.folds 3: fold \d has no person \(persons per fold: \["):
        split_persons(tables, roles, SplitParams(validation_ratio=0, folds=3))


def test_everyone_being_tested_on_is_an_error():
    tables = {"tuab": _tuab(20, 5), "tuh": people("tuh", [letters(k) for k in range(20)], family="tueg")}
    with pytest.raises(SplitError, match=r"split train, validation .*tuab test 20; tuh test 20"):
        split_persons(tables, Roles(pretrain=["tuh"], probe=["tuab"]), PARAMS)


def test_absent_corpora(caplog):
    tables = {"a": _numbered("a", range(60)), "b": _numbered("b", [])}
    splits = split_persons(tables, Roles(pretrain=["a", "b"]), PARAMS)
    assert set(splits["split"]) == {"train", "validation"}
    assert "without b" in caplog.text
    with pytest.raises(SplitError, match=r"corpora\.probe: corpus 'b'"):
        split_persons(tables, Roles(pretrain=["a"], probe=["b"]), PARAMS)
    with pytest.raises(SplitError, match="no corpus has recordings"):
        split_persons({}, Roles(pretrain=["a"]), PARAMS)


def test_the_log_says_what_tuh_does_not_know(caplog):
    caplog.set_level(logging.WARNING)
    split_persons(
        {"tuh": people("tuh", [letters(k) for k in range(40)], family="tueg")}, Roles(pretrain=["tuh"]), PARAMS
    )
    assert len([r for r in caplog.records if "test sets cannot be known here" in r.getMessage()]) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.assign(person=["a:1", "a:1", "a:3"]),
            r"1 persons are listed more than once in the splits table: a:1",
        ),
        (lambda t: t.assign(identity="a:1"), r"1 identities with more than one split: a:1"),
        (lambda t: t.assign(split=["train", "validation", "eval"]), r"names split 'eval'; known: train"),
        (lambda t: t.assign(fold=[0, -1, 0]), "folds outside of split test"),
        (lambda t: t.assign(fold=-1), "folds outside of split test"),
        (lambda t: t.assign(keys=[["a:1"], ["a:1"], ["a:3"]]), "1 keys with more than one identity: a:1"),
        (lambda t: t.assign(signals=[["x"], ["y"], ["y"]]), "1 signals with more than one identity: y"),
        (lambda t: t.assign(recordings=[["r"], ["s"], ["r"]]), "1 recordings with more than one identity: r"),
        (lambda t: t.drop(columns="identity"), "no column identity; make it again"),
    ],
)
def test_tables_that_contradict_themselves_are_refused(change, message):
    table = split_table({"a:1": "train", "a:2": "validation", "a:3": "test"})
    check_splits(table)
    with pytest.raises(SplitError, match=message):
        check_splits(change(table))


def test_one_identity_in_two_folds_is_refused():
    table = split_table({"a:1": "test", "a:2": "test"})
    with pytest.raises(SplitError, match="1 identities with more than one fold: a:1"):
        check_splits(table.assign(identity="a:1"))


def test_flat_recordings_are_nobody_in_particular():
    """An empty short hash is no name."""
    table = split_table({"a:1": "train", "a:2": "validation"})
    check_splits(table.assign(signals=[[""], [""]]))


def test_hash_follows_content_not_order():
    splits = split_persons({"a": _numbered("a", range(60))}, Roles(pretrain=["a"], probe=["a"]), PARAMS)
    assert splits_sha256(splits) == splits_sha256(splits.sample(frac=1, random_state=0))
    assert splits_sha256(splits) == splits_sha256(splits[splits.columns[::-1]])
    for column, value in (("split", "x"), ("fold", 99), ("identity", "x"), ("person", "x"), ("corpus", "x")):
        moved = splits.copy()
        moved.loc[0, column] = value
        assert splits_sha256(splits) != splits_sha256(moved)


def test_salt_gives_another_split():
    tables = {"a": _numbered("a", range(60))}
    one = split_persons(tables, Roles(pretrain=["a"]), PARAMS)
    two = split_persons(tables, Roles(pretrain=["a"]), SplitParams(validation_ratio=0.3, salt="other"))
    assert splits_sha256(one) != splits_sha256(two)


def test_channels_of_flat_recordings():
    tables = {"a": _numbered("a", range(60), signal_hashes=[channels("", "")] * 60)}
    assert split_persons(tables, Roles(pretrain=["a"]), PARAMS)["signals"].map(lambda s: s == [""]).all()


def test_several_corpora_are_probed_each_by_its_own_rule():
    """``b`` is only probed, ``a`` is also trained on, ``c`` is only trained on; two persons are in ``a`` and ``b``."""
    tables = {"a": _numbered("a", range(80)), "b": _numbered("b", range(20)), "c": _numbered("c", range(40))}
    names = {name: sorted(table["person"]) for name, table in tables.items()}
    linked = [(names["a"][k], names["b"][k]) for k in (1, 2)]
    same = PARAMS.model_copy(update={"same_persons": tuple(linked)})
    found = split_persons(tables, Roles(pretrain=["a", "c"], probe=["a", "b"]), same).set_index("person")
    of_b = found[found["corpus"] == "b"]
    assert set(of_b["split"]) == {"test"}
    assert set(of_b["reason"]) == {"corpus b is only probed"}
    assert set(found.loc[[one for one, _ in linked], "split"]) == {"test"}
    assert set(found.loc[found["corpus"] == "c", "split"]) == {"train", "validation"}
    # Whoever is in neither of the two others is split as if corpus a were alone.
    alone = split_persons({"a": tables["a"]}, Roles(pretrain=["a"], probe=["a"]), PARAMS).set_index("person")
    others = [name for name in names["a"] if name not in {one for one, _ in linked}]
    pd.testing.assert_series_equal(found.loc[others, "split"], alone.loc[others, "split"])
    assert set(alone["split"]) == {"train", "validation", "test"}
    with pytest.raises(ValidationError, match="corpus a is listed twice"):
        Roles(pretrain=["a"], probe=["a", "b", "a"])
    with pytest.raises(SplitError, match=r"corpora\.probe: corpus 'd' has no recordings"):
        split_persons(tables, Roles(pretrain=["a"], probe=["b", "d"]), PARAMS)


def test_a_single_name_is_no_list_of_corpora():
    for role in ("pretrain", "probe"):
        with pytest.raises(ValidationError, match=r"must be a list, such as \[mine\]"):
            Roles(**{"pretrain": ["a"], role: "mine"})
