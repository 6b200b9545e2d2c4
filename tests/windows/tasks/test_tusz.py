"""TUSZ: seizure or not, and its type, against a loop over samples; each recording from one kind of file."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from drawn_examples import examples
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.tasks.tusz import TuszTask
from tuh_tables import Row, events_table, marked, recordings_table

CLOCK = SampleGrid(10.0, "seizures")
SEGMENTS = [[(0, 230), (240, 620)], [(0, 149)]]
FILES = ["csv_bi", "tse_bi", "csv", "tse"]
SEIZURES = ["seiz", "fnsz", "cpsz", "gnsz"]
rows = st.lists(
    st.tuples(
        st.integers(0, 1), st.integers(0, 600), st.integers(0, 150), st.sampled_from([*SEIZURES, "bckg", "artf"]),
        st.sampled_from(["TERM", "FP1-F7"]), st.sampled_from(FILES),
    ).map(lambda row: (row[0], row[1] / 10, (row[1] + row[2]) / 10, *row[3:])),
    min_size=1,
    max_size=12,
)  # fmt: skip


def cut(found: list[Row], **fields: object) -> Runs:
    return TuszTask(**{"length_s": 5, **fields}).find(recordings_table(SEGMENTS, "tusz"), events_table(found), CLOCK)


def from_best(found: list[Row], files: list[str]) -> list[Row]:
    """Rows of the first kind of file that each recording has."""
    best = {r: next((f for f in files if any(row[0] == r and row[5] == f for row in found)), "") for r in range(2)}
    return [row for row in found if row[5] == best[row[0]]]


@given(rows, st.sampled_from([0.0, 0.5]))
@settings(max_examples=examples(15), deadline=None)
def test_windows_with_and_without_seizure(found: list[Row], ratio: float) -> None:
    runs = cut(found, min_overlap_ratio=ratio)
    used, expected = from_best(found, FILES), []
    for r in sorted({row[0] for row in used}):
        seizure = marked(used, r, SEIZURES, 1000)
        for first, last in SEGMENTS[r]:
            for a in range(first, last - 49, 50):
                share = seizure[a : a + 50].mean()
                expected.append((r, a, "seiz" if share > 0 and share >= ratio else "bckg"))
    assert list(zip(runs.recording, runs.start, runs.label, strict=True)) == expected
    assert runs.counted["n_events"] == len(used)
    assert runs.counted["n_events_of_other_files"] == len(found) - len(used)
    assert runs.counted["n_recordings_without_annotations"] == 2 - len({row[0] for row in used})


@given(rows, st.booleans())
@settings(max_examples=examples(15), deadline=None)
def test_windows_of_one_type_of_seizure(found: list[Row], background: bool) -> None:
    types = {"focal": ["fnsz", "cpsz"], "absence": ["absz"]}
    runs = cut(found, level="event", types=types, background=background)
    used, expected = from_best(found, ["csv", "tse"]), []
    for r in {row[0] for row in used}:
        focal = marked(used, r, ["fnsz", "cpsz"], 1000)
        others = marked(used, r, ["seiz", "gnsz", "artf"], 1000)
        quiet = ~focal & ~others
        for label, mask in (("focal", focal), ("bckg", quiet if background else ~mask_all(1000))):
            for first, last in SEGMENTS[r]:
                a = first
                while a < last:
                    if not mask[a]:
                        a += 1
                    elif a + 50 <= last and mask[a : a + 50].all():
                        if label == "bckg" or not others[a : a + 50].any():
                            expected.append((r, a, label))
                        a += 50
                    else:
                        a += 1
                        while a < last and mask[a]:
                            a += 1
    assert sorted(zip(runs.recording, runs.start, runs.label, strict=True)) == sorted(expected)


def mask_all(n: int) -> object:
    return marked([(0, 0.0, n / 10, "x", "")], 0, ["x"], n)


def test_no_seizure_counts_twice() -> None:
    both = [(0, 10.0, 20.0, "seiz", "TERM", "csv_bi"), (0, 9.0, 26.0, "cpsz", "FP1-F7", "csv")]
    label_of = dict(zip((runs := cut(both)).start.tolist(), runs.label, strict=True))
    assert [a for a, label in label_of.items() if label == "seiz"] == [100, 150]
    runs = cut(both, level="event", background=False)
    assert list(zip(runs.start, runs.label, strict=True)) == [(90, "cpsz"), (140, "cpsz")]  # 24 s lie in a gap
    assert runs.counted["n_events_of_other_files"] == 1


def test_two_types_at_once_are_no_class() -> None:
    found = [(0, 30.0, 45.0, "fnsz", "FP1-F7", "csv"), (0, 30.0, 45.0, "fnsz", "F7-T3", "csv")]
    found += [(0, 41.0, 50.0, "gnsz", "F7-T3", "csv"), (0, 0.0, 62.0, "bckg", "P4-O2", "csv")]
    runs = cut(found, level="event", background=False)
    assert list(zip(runs.start, runs.label, strict=True)) == [(300, "fnsz"), (350, "fnsz")]
    assert runs.counted["n_windows_of_several_classes"] == 2
    assert runs.counted["n_stretches"] == 2


def test_answers_and_defaults() -> None:
    assert TuszTask().target_spec == ("binary", ("bckg", "seiz"), (), "")
    types = ("fnsz", "gnsz", "spsz", "cpsz", "absz", "tnsz", "cnsz", "tcsz", "atsz", "mysz")
    assert TuszTask(level="event").target_spec == ("multiclass", ("bckg", *types), (), "")
    one = TuszTask(level="event", types={"fnsz": ["fnsz"], "gnsz": ["gnsz"]}, background=False)
    assert one.target_spec == ("binary", ("fnsz", "gnsz"), (), "")


@pytest.mark.parametrize(
    ("types", "message"),
    [
        ({"a": ["fnsz"], "b": ["fnsz"]}, "seizure type fnsz is listed twice"),
        ({"a": ["fnzs"]}, "'fnzs' is no type of seizure; there are fnsz, gnsz"),
        ({"bckg": ["fnsz"]}, "'bckg' cannot name seizures"),
    ],
)
def test_types_that_cannot_work_are_refused(types: dict[str, list[str]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TuszTask(types=types)
