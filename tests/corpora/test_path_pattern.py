"""Patterns of paths against all readings, counted out one by one."""

import itertools
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.corpora.config import EdfFolderCorpus
from eegfm.corpora.path_pattern import PathPattern
from eegfm.errors import EegfmError

FIELDS = ("subject", "session", "task", "run")
PIECE = st.one_of(
    st.sampled_from([f"{{{field}}}" for field in FIELDS]), st.sampled_from(["_", "/", "a", "-", "", "aa"])
)
PATTERN = st.lists(PIECE, max_size=6).map(lambda pieces: "".join(["{subject}", *pieces]))


def all_readings(pattern: str, path: str) -> list[dict[str, str]]:
    """Every way to cut a path into the pieces of a pattern, by trying all of them."""
    pieces = [piece for piece in re.split(r"(\{\w+\})", pattern) if piece]
    found = []
    for values in _cuts(pieces, path):
        bound: dict[str, set[str]] = {}
        for piece, value in zip(pieces, values, strict=True):
            bound.setdefault(piece, set()).add(value)
        fields = {piece.strip("{}"): texts for piece, texts in bound.items() if piece.startswith("{")}
        fixed = all(texts == {piece} for piece, texts in bound.items() if not piece.startswith("{"))
        if fixed and all(len(texts) == 1 and "/" not in min(texts) for texts in fields.values()):
            found.append({name: min(texts) for name, texts in fields.items()})
    return found


def _cuts(pieces: list[str], path: str) -> Iterator[tuple[str, ...]]:
    for places in itertools.combinations(range(1, len(path)), len(pieces) - 1):
        yield tuple(path[a:b] for a, b in itertools.pairwise((0, *places, len(path))))


@settings(max_examples=150, deadline=None)
@given(PATTERN, st.text("a_/-", min_size=1, max_size=9), st.data())
def test_readings_are_those_that_counting_finds(pattern: str, other: str, data: st.DataObject) -> None:
    names = sorted(set(re.findall(r"\w+(?=\})", pattern)))
    values = {name: data.draw(st.text("a_b", min_size=1, max_size=3), name) for name in names}
    for path in (other, pattern.format(**values)):
        expected = all_readings(pattern, path)
        found = PathPattern(pattern, FIELDS).readings(path)
        assert len(found) == min(len(expected), 2), (pattern, path)
        assert all(reading in expected for reading in found)
        assert len({tuple(sorted(reading.items())) for reading in found}) == len(found)


@pytest.mark.parametrize(
    ("pattern", "path", "readings"),
    [
        ("{subject}", "a", [{"subject": "a"}]),
        ("{subject}", "a/b", []),
        ("{subject}", "", []),
        ("S{subject}/S{subject}R{run}", "S001/S001R02", [{"subject": "001", "run": "02"}]),
        ("S{subject}/S{subject}R{run}", "S001/S002R02", []),
        ("{subject}_{task}_{run}", "a_b_c", [{"subject": "a", "task": "b", "run": "c"}]),
        ("{subject}.e+f", "a.exf", []),
        ("{subject}.e+f", "a.e+f", [{"subject": "a"}]),
        ("{subject}_{run}", "a_b_c", [{"subject": "a", "run": "b_c"}, {"subject": "a_b", "run": "c"}]),
        ("{subject}{session}", "ab", [{"subject": "a", "session": "b"}]),
        ("{subject}{session}", "abc", [{"subject": "a", "session": "bc"}, {"subject": "ab", "session": "c"}]),
        ("{subject}/{subject}_{run}", "a_b/a_b_c", [{"subject": "a_b", "run": "c"}]),
        ("{subject}_{run}/{subject}", "a_b_c/a_b", [{"subject": "a_b", "run": "c"}]),
        ("{subject}{run}/{subject}{run}", "aaa/aaa", [{"subject": "a", "run": "aa"}, {"subject": "aa", "run": "a"}]),
        ("{subject}_{subject}", "a_a_a", []),
        ("{subject}_{subject}", "a_a_a_a", [{"subject": "a_a"}]),
    ],
)
def test_examples(pattern: str, path: str, readings: list[dict[str, str]]) -> None:
    assert list(PathPattern(pattern, FIELDS).readings(path)) == readings


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{run}.edf", r"\{subject\} is missing; splits are by person"),
        ("{subject}_{visit}.edf", r"unknown field \{visit\}; known: subject, session, task, run"),
        ("{subject}_{}.edf", r"unknown field \{\}; known: subject"),
        ("{subject}_{run.edf", "a brace has no partner"),
        ("{subject}}.edf", "a brace has no partner"),
        ("{subject}_{ run}.edf", "a brace has no partner"),
    ],
)
def test_patterns_that_cannot_be_meant(pattern: str, message: str) -> None:
    with pytest.raises(EegfmError, match=message):
        PathPattern(pattern, FIELDS)


@pytest.mark.parametrize("pattern", ["{subject}_{session}_{task}_{run}x", "{subject}{session}{task}{run}x"])
def test_long_paths_take_no_time(pattern: str) -> None:
    start_s = time.perf_counter()
    assert PathPattern(pattern, FIELDS).readings("_" * 250) == ()
    assert len(PathPattern(pattern, FIELDS).readings("_" * 250 + "x")) == 2
    assert time.perf_counter() - start_s < 5


def test_a_path_with_two_readings_is_refused_with_both(tmp_path: Path) -> None:
    """One person must not become two: ``a_b`` with run ``c`` and ``a`` with run ``b_c`` are not the same."""
    for name in ("a_1.edf", "a_b_c.edf"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(EegfmError) as caught:
        EdfFolderCorpus(pattern="{subject}_{run}.edf").build("mine").index(tmp_path)
    message = str(caught.value)
    assert message.startswith("mine: a_b_c.edf fits corpus.pattern '{subject}_{run}.edf' in more than one way: ")
    assert "subject 'a', run 'b_c' or subject 'a_b', run 'c'; " in message
    table = EdfFolderCorpus(pattern="a_{subject}_{run}.edf").build("mine").index(tmp_path)
    assert table["subject"].tolist() == ["", "b"]


@settings(max_examples=40, deadline=None)
@given(PATTERN, st.data())
def test_no_index_puts_one_person_into_two(pattern: str, data: st.DataObject) -> None:
    """What ``describe`` answers is the only target specification."""
    names = sorted(set(re.findall(r"\w+(?=\})", pattern)))
    values = {name: data.draw(st.text("a_b", min_size=1, max_size=3), name) for name in names}
    path = pattern.format(**values)
    expected = all_readings(pattern, path)
    corpus = EdfFolderCorpus(pattern=f"{pattern}.edf").build("x")
    if len(expected) > 1:
        with pytest.raises(EegfmError, match="in more than one way"):
            corpus.describe(f"{path}.edf")
    else:
        assert corpus.describe(f"{path}.edf") == {"bids_task" if k == "task" else k: v for k, v in values.items()}
