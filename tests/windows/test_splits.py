import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from eegfm.errors import SplitError
from eegfm.windows.config import Roles, SplitParams
from eegfm.windows.splits import split_persons, splits_sha256

PARAMS = SplitParams(validation_ratio=0.3, evaluation_ratio=0.3)


def _people(corpus, numbers, n_each=1, official=()):
    persons = [f"{corpus}:p{n}" for n in numbers for _ in range(n_each)]
    tests = ["eval" if n in official else "train" for n in numbers for _ in range(n_each)]
    return pd.DataFrame({"person": persons, "official_split": tests}).astype("str")


def _as_dict(splits):
    return dict(zip(splits["person"], splits["split"], strict=True))


PEOPLE = st.lists(st.integers(0, 10_000), min_size=12, max_size=60, unique=True)


@settings(max_examples=60, deadline=None)
@given(numbers=PEOPLE, n_more=st.integers(0, 30), seed=st.integers(0, 9), n_each=st.integers(1, 3))
def test_growth_and_order_move_nobody(numbers, n_more, seed, n_each):
    roles = Roles(pretrain=["a", "b"], probe="a")
    few = {c: _people(c, numbers, n_each) for c in "ab"}
    grown = [*range(20_000, 20_000 + n_more), *numbers]
    many = {c: _people(c, grown).sample(frac=1, random_state=seed) for c in "ba"}
    try:
        before = split_persons(few, roles, PARAMS)
    except SplitError:
        assume(False)
    after = split_persons(many, roles, PARAMS)
    assert not after["person"].duplicated().any()
    assert _as_dict(after).items() >= _as_dict(before).items()
    assert after["person"].tolist() == sorted(after["person"])


def test_roles_decide_which_splits_a_corpus_feeds():
    people = {c: _people(c, range(200)) for c in ("both", "train", "tested", "none")}
    splits = split_persons(people, Roles(pretrain=["both", "train"], probe="both"), PARAMS)
    share = splits.groupby("corpus")["split"].value_counts(normalize=True)
    assert share["both", "evaluation"] == pytest.approx(0.3, abs=0.1)
    assert share["both", "validation"] == pytest.approx(0.7 * 0.3, abs=0.1)
    assert share["train"].index.sort_values().tolist() == ["pretrain", "validation"]
    assert share["train", "validation"] == pytest.approx(0.3, abs=0.1)
    assert share["none"].to_dict() == {"excluded": 1.0}
    only = split_persons(people, Roles(pretrain=["train"], probe="tested"), PARAMS)
    assert set(only.loc[only["corpus"] == "tested", "split"]) == {"evaluation"}


def test_evaluation_ratio_does_not_move_validation_to_pretraining():
    people = {"a": _people("a", range(200))}
    roles = Roles(pretrain=["a"], probe="a")
    small = _as_dict(split_persons(people, roles, PARAMS))
    large = _as_dict(split_persons(people, roles, SplitParams(validation_ratio=0.3, evaluation_ratio=0.5)))
    assert {(small[p], large[p]) for p in small} == {
        ("pretrain", "pretrain"),
        ("pretrain", "evaluation"),
        ("validation", "validation"),
        ("validation", "evaluation"),
        ("evaluation", "evaluation"),
    }


def test_official_test_persons_never_enter_pretraining():
    people = {"a": _people("a", range(60), official=range(20)), "b": _people("b", range(60))}
    # One recording in the official test set is enough.
    people["a"] = pd.concat([people["a"], _people("a", [20]), _people("a", [20], official=[20])])
    tests = {f"a:p{n}" for n in range(21)}
    for probe, expected in (("b", "excluded"), ("a", "evaluation")):
        splits = split_persons(people, Roles(pretrain=["a", "b"], probe=probe), PARAMS)
        assert set(splits.loc[splits["person"].isin(tests), "split"]) == {expected}
        assert splits.loc[splits["person"].isin(tests), "reason"].str.contains("official test set").all()


def test_reasons_are_always_given():
    splits = split_persons({"a": _people("a", range(60))}, Roles(pretrain=["a"], probe="a"), PARAMS)
    assert (splits["reason"].str.len() > 0).all()


def test_empty_split_says_the_counts():
    roles = Roles(pretrain=["a"], probe="b")
    people = {"a": _people("a", range(3)), "b": _people("b", range(2))}
    with pytest.raises(SplitError, match=r"split validation .*a pretrain 3; b evaluation 2"):
        split_persons(people, roles, SplitParams(validation_ratio=1e-9))
    assert set(split_persons(people, roles, SplitParams(validation_ratio=0))["split"]) == {
        "pretrain",
        "evaluation",
    }


def test_absent_corpora(caplog):
    people = {"a": _people("a", range(60)), "b": _people("b", [])}
    splits = split_persons(people, Roles(pretrain=["a", "b"]), PARAMS)
    assert set(splits["split"]) == {"pretrain", "validation"}
    assert "without b" in caplog.text
    with pytest.raises(SplitError, match=r"corpora\.probe: corpus 'b'"):
        split_persons(people, Roles(pretrain=["a"], probe="b"), PARAMS)
    with pytest.raises(SplitError, match="no corpus has recordings"):
        split_persons({}, Roles(pretrain=["a"]), PARAMS)


def test_a_person_in_two_corpora_is_refused():
    people = {"a": _people("a", range(60)), "b": _people("a", [7])}
    with pytest.raises(SplitError, match="a:p7"):
        split_persons(people, Roles(pretrain=["a", "b"], probe="b"), PARAMS)


def test_hash_follows_content_not_order():
    splits = split_persons({"a": _people("a", range(60))}, Roles(pretrain=["a"], probe="a"), PARAMS)
    assert splits_sha256(splits) == splits_sha256(splits.sample(frac=1, random_state=0))
    moved = splits.copy()
    moved.loc[0, "split"] = "validation" if moved.loc[0, "split"] != "validation" else "pretrain"
    assert splits_sha256(splits) != splits_sha256(moved)


def test_salt_gives_another_split():
    people = {"a": _people("a", range(60))}
    one = split_persons(people, Roles(pretrain=["a"]), PARAMS)
    two = split_persons(people, Roles(pretrain=["a"]), SplitParams(validation_ratio=0.3, salt="other"))
    assert splits_sha256(one) != splits_sha256(two)
