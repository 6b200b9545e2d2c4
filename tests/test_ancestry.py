"""Weights that start from other weights have seen all that those have seen, and what is unknown stays unknown."""

from typing import Any

import pytest
from pydantic import ValidationError

from checkpoints import header, imported_header
from eegfm.ancestry import Ancestry, Parent, inherited

NOTHING: dict[str, Any] = {"corpora": [], "simulated_corpora": [], "persons": [], "signals": [], "kept_out": {}}


def child(phase: str, *parents: Ancestry, **own: Any) -> Ancestry:
    """What a training of this phase leaves; keywords say what it saw itself."""
    return header(phase=phase, fingerprint=f"run of {phase}", **inherited(parents, **NOTHING | own))


FIRST = child(
    "pretrain",
    corpora=["tueg"],
    simulated_corpora=["tueg"],
    persons=[["TUEG:a"], ["TUEG:b", "other:b"]],
    signals=["a0", "b0"],
    kept_out={"test set": ["TUEG:t"], "by chance": ["TUEG:c"]},
)
SECOND = child("contrast", FIRST, corpora=["hbn"], persons=[["NDA:x"]], signals=["c0"])
FOREIGN = imported_header(fingerprint="abroad", corpora=["tuab", "siena"])


def test_weights_of_a_seed_have_no_parents_and_have_seen_what_they_were_trained_on() -> None:
    assert FIRST.parents == ()
    assert (FIRST.n_persons, FIRST.persons) == (2, [["TUEG:a"], ["TUEG:b", "other:b"]])
    assert FIRST.kept_out == {"by chance": ["TUEG:c"], "test set": ["TUEG:t"]}
    assert not list(FIRST.imports())


def test_a_grandchild_has_seen_all_that_came_before() -> None:
    third = child("finetune", SECOND, corpora=["eegmat"], persons=[["eegmat:1"], ["NDA:x"]], signals=["d0"])
    assert third.persons == [["NDA:x"], ["TUEG:a"], ["TUEG:b", "other:b"], ["eegmat:1"]]
    assert third.n_persons == 4
    assert third.signals == ["a0", "b0", "c0", "d0"]
    assert third.corpora == ["eegmat", "hbn", "tueg"]
    assert third.simulated_corpora == ["tueg"]
    assert third.kept_out == FIRST.kept_out
    first = Parent(phase="pretrain", fingerprint="run of pretrain", corpora=["tueg"], imported=None, parents=())
    second = Parent(
        phase="contrast", fingerprint="run of contrast", corpora=["hbn", "tueg"], imported=None, parents=(first,)
    )
    assert third.parents == (second,)


@pytest.mark.parametrize("is_turned", [False, True])
def test_two_parents_both_count_in_any_order(is_turned: bool) -> None:
    other = child(
        "pretrain",
        corpora=["siena"],
        simulated_corpora=["siena"],
        persons=[["siena:1"]],
        signals=["e0"],
        kept_out={"test set": ["siena:t"]},
    )
    parents = (other, FIRST) if is_turned else (FIRST, other)
    both = child("contrast", *parents)
    assert both.parents == tuple(parent.as_parent() for parent in parents)
    assert both.persons == [["TUEG:a"], ["TUEG:b", "other:b"], ["siena:1"]]
    assert both.signals == ["a0", "b0", "e0"]
    assert both.corpora == both.simulated_corpora == ["siena", "tueg"]
    assert both.kept_out == {"by chance": ["TUEG:c"], "test set": ["TUEG:t", "siena:t"]}


def test_persons_who_share_a_name_are_one() -> None:
    """Each of three runs knows other names of one person."""
    one, two = child("pretrain", persons=[["a"], ["c"], ["z"]]), child("pretrain", persons=[["b"], ["d"]])
    both = child("contrast", one, two, persons=[["a", "b"], ["c", "d"]])
    assert both.persons == [["a", "b"], ["c", "d"], ["z"]]
    joined = child("finetune", both, persons=[["b", "c"]])
    assert (joined.persons, joined.n_persons) == ([["a", "b", "c", "d"], ["z"]], 2)


def test_who_was_kept_out_once_and_seen_another_time_was_seen() -> None:
    seen_later = child("contrast", FIRST, persons=[["TUEG:c", "here:c"]])
    assert seen_later.kept_out == {"test set": ["TUEG:t"]}
    seen_before = child("contrast", FIRST, kept_out={"by chance": ["other:b", "TUEG:d"]})
    assert seen_before.kept_out == {"by chance": ["TUEG:c", "TUEG:d"], "test set": ["TUEG:t"]}


@pytest.mark.parametrize("n_generations", [1, 2, 3])
def test_what_is_unknown_of_an_imported_ancestor_stays_unknown(n_generations: int) -> None:
    last: Ancestry = FOREIGN
    for k in range(n_generations):
        last = child(f"phase{k}", FIRST, last, corpora=["hbn"], persons=[[f"NDA:{k}"]], signals=[f"{k}"])
    assert last.imported is None, "it was trained here"
    assert last.n_persons is None, "there are persons whom nobody knows"
    assert last.persons == [*([f"NDA:{k}"] for k in range(n_generations)), *(FIRST.persons or [])]
    assert last.corpora == ["hbn", "siena", "tuab", "tueg"]
    assert list(last.imports()) == [FOREIGN.as_parent()]
    again = type(last).model_validate_json(last.model_dump_json())
    assert list(again.imports()) == [FOREIGN.as_parent()]


def test_imports_are_found_on_every_branch() -> None:
    unsaid = imported_header(fingerprint="unsaid", corpora=[])
    both = child("contrast", child("contrast", FIRST, unsaid), FOREIGN)
    assert [one.fingerprint for one in both.imports()] == ["unsaid", "abroad"]
    exported = imported_header(fingerprint="export", parents=both.parents, corpora=both.corpora)
    assert [one.fingerprint for one in exported.imports()] == ["export", "unsaid", "abroad"]


def test_a_number_of_persons_that_contradicts_them_is_refused() -> None:
    for fields in ({"n_persons": 1}, {"n_persons": None}, {"parents": (FOREIGN.as_parent(),)}):
        with pytest.raises(ValidationError, match=r"n_persons is .*; it is .* by persons and parents"):
            header(**fields)
    assert header(parents=(FOREIGN.as_parent(),), n_persons=None).persons == header().persons
