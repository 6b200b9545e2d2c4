"""TUAR: artifacts that cover at least 30 % of a window, against a loop over samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from drawn_examples import examples
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.tasks.tuar import TuarTask
from tuh_tables import Row, events_table, marked, recordings_table
from tuh_tree import TCP_NAMES

CLOCK = SampleGrid(10.0, "artifacts")
SEGMENTS = [[(0, 230), (240, 320)], [(0, 149)]]
FIVE = ["eyem", "chew", "shiv", "musc", "elec"]
SEEN = [*FIVE, "eyem_musc", "eyem_chew", "chew_elec", "musc_elec"]
HOLDING = {name: [label for label in SEEN if name in label.split("_")] for name in FIVE}
HOLDING["elec"].append("elpp")
ANY = {label for labels in HOLDING.values() for label in labels}

tenths = st.integers(0, 400).map(lambda k: k / 10)
rows = st.lists(
    st.tuples(
        st.integers(0, 1),
        tenths,
        st.integers(0, 60),
        st.sampled_from([*sorted(ANY), "bckg", "cpsz"]),
        st.sampled_from(["FP1-F7", "T4-A2", "P4-O2", "EKG"]),
    ).map(lambda row: (row[0], row[1], row[1] + row[2] / 10, *row[3:])),
    min_size=1,
    max_size=25,
)


def cut(found: list[Row], **fields: object) -> Runs:
    return TuarTask(**fields).find(recordings_table(SEGMENTS, "tuar"), events_table(found), CLOCK)


def windows(found: list[Row]) -> list[tuple[int, int]]:
    annotated = sorted({row[0] for row in found})
    return [(r, a) for r in annotated for first, last in SEGMENTS[r] for a in range(first, last - 49, 50)]


def share(found: list[Row], window: tuple[int, int], labels: set[str] | list[str], channel: str = "") -> float:
    r, a = window
    return float(marked(found, r, labels, 1000, channel)[a : a + 50].mean())


@given(rows)
@settings(max_examples=examples(15), deadline=None)
def test_binary(found: list[Row]) -> None:
    runs = cut(found)
    expected = ["artifact" if share(found, w, ANY) >= 0.3 else "none" for w in windows(found)]
    assert list(zip(runs.recording, runs.start, strict=True)) == windows(found)
    assert runs.label is not None
    assert runs.label.tolist() == expected


@given(rows)
@settings(max_examples=examples(15), deadline=None)
def test_multilabel(found: list[Row]) -> None:
    runs = cut(found, mode="ml")
    expected = [[float(share(found, w, HOLDING[name]) >= 0.3) for name in FIVE] for w in windows(found)]
    assert runs.targets is not None
    assert runs.targets.dtype == np.float32
    assert runs.targets.tolist() == expected


@given(rows)
@settings(max_examples=examples(15), deadline=None)
def test_multioutput(found: list[Row]) -> None:
    runs = cut(found, mode="mmc")
    assert runs.targets is not None
    for window, targets in zip(windows(found), runs.targets, strict=True):
        for name, target in zip(TCP_NAMES, targets, strict=True):
            shares = [share(found, window, HOLDING[artifact], name) for artifact in FIVE]
            assert target == (1 + shares.index(max(shares)) if max(shares) >= 0.3 else 0)


@given(rows)
@settings(max_examples=examples(9), deadline=None)
def test_yes_or_no_per_derivation(found: list[Row]) -> None:
    runs = cut(found, mode="mc")
    assert runs.targets is not None
    expected = [[float(share(found, w, ANY, name) >= 0.3) for name in TCP_NAMES] for w in windows(found)]
    assert runs.targets.tolist() == expected


@given(rows)
@settings(max_examples=examples(15), deadline=None)
def test_artifact_of_the_window(found: list[Row]) -> None:
    runs = cut(found, mode="mcc")
    shares = [[share(found, w, HOLDING[artifact]) for artifact in FIVE] for w in windows(found)]
    assert runs.label is not None
    assert runs.label.tolist() == [FIVE[own.index(max(own))] for own in shares if max(own) >= 0.3]
    kept = [w for w, own in zip(windows(found), shares, strict=True) if max(own) >= 0.3]
    assert list(zip(runs.recording, runs.start, strict=True)) == kept
    assert runs.counted["n_windows_without_artifact"] == len(shares) - len(kept)


def test_modes_are_the_types_of_task_that_the_codes_name() -> None:
    specs = {mode: TuarTask(mode=mode).target_spec for mode in ("bc", "mc", "mcc", "mmc", "ml")}
    assert {mode: spec.kind for mode, spec in specs.items()} == {
        "bc": "binary", "mc": "multilabel", "mcc": "multiclass", "mmc": "multioutput", "ml": "multilabel",
    }  # fmt: skip
    assert {mode: spec.output_shape for mode, spec in specs.items()} == {
        "bc": (2,), "mc": (22,), "mcc": (5,), "mmc": (22, 6), "ml": (5,),
    }  # fmt: skip


def test_an_artifact_that_a_corpus_lacks_can_be_left_out_where_it_is_a_class() -> None:
    found = [(1, 0.0, 3.0, "shiv", "P4-O2"), (1, 5.0, 9.0, "musc", "P4-O2")]
    runs = cut(found, mode="mcc", left_out=("shiv",))
    assert runs.label.tolist() == ["musc"]
    assert TuarTask(mode="mcc", left_out=("shiv",)).target_spec.classes == ("eyem", "chew", "musc", "elec")
    runs = cut(found, mode="ml", left_out=("shiv", "elec"))
    assert TuarTask(mode="ml", left_out=("shiv", "elec")).target_spec.outputs == ("eyem", "chew", "musc")
    assert runs.targets.tolist() == [[0, 0, 0], [0, 0, 1]]
    with pytest.raises(ValidationError, match="left_out is not used where the answer is multioutput"):
        TuarTask(mode="mmc", left_out=("shiv",))
    with pytest.raises(ValidationError, match="'none' is no output; there are eyem, chew, shiv, musc, elec"):
        TuarTask(mode="ml", left_out=("none",))
    with pytest.raises(ValidationError, match="left_out leaves 0 of the outputs; 1 or more must remain"):
        TuarTask(mode="ml", left_out=tuple(FIVE))


def test_counts() -> None:
    found = [
        (0, 1.0, 3.0, "eyem", "FP1-F7"),
        (0, 1.0, 3.0, "musc", "EKG"),
        (0, 1.0, 3.0, "fnsz", "FP1-F7", "seiz.csv"),
        (0, 1.0, 3.0, "fnsz", "FP1-F7"),
    ]
    events = events_table([*found, (2, 0.0, 3.0, "eyem", "FP1-F7")])
    events.loc[len(events)] = ["tuh:r000", 1.0, np.nan, "eyem", "FP1-F7", "csv"]
    recordings = recordings_table([*SEGMENTS, [(0, 49)], [(0, 500)]], family=["tuar", "tuar", "tuar", "tusz"])
    assert TuarTask(mode="mmc").find(recordings, events, CLOCK).counted == {
        "n_recordings_of_other_corpus": 1,
        "n_recordings_without_annotations": 1,
        "n_recordings_without_window": 1,
        "n_events_of_other_files": 1,
        "n_events_without_duration": 1,
        "n_events": 5,
        "n_events_of_other_labels": 1,
        "n_events_of_other_channels": 1,
    }


def test_thirty_percent_is_enough_and_a_sample_less_is_not() -> None:
    assert cut([(1, 0.0, 1.5, "shiv", "P4-O2")]).label.tolist() == ["artifact", "none"]
    assert cut([(1, 0.0, 1.4, "shiv", "P4-O2")]).label.tolist() == ["none", "none"]
    # On two channels at once it lasts no longer; one after the other it does.
    assert cut([(1, 0.0, 1.0, "shiv", "P4-O2"), (1, 0.0, 1.0, "elec", "T4-A2")]).label.tolist() == ["none", "none"]
    assert cut([(1, 0.0, 1.0, "shiv", "P4-O2"), (1, 2.0, 2.5, "elec", "T4-A2")]).label.tolist()[0] == "artifact"
    assert cut([(1, 0.0, 1.5, "shiv", "P4-O2")], min_overlap_ratio=0.31).label.tolist() == ["none", "none"]


def test_thirty_percent_is_enough_for_each_artifact_and_derivation() -> None:
    found = [(1, 0.0, 1.5, "musc_elec", "P4-O2"), (1, 5.0, 6.4, "musc_elec", "P4-O2")]
    assert cut(found, mode="ml").targets.tolist() == [[0, 0, 0, 1, 1], [0, 0, 0, 0, 0]]
    targets = cut(found, mode="mmc").targets
    assert targets[:, TCP_NAMES.index("P4-O2")].tolist() == [4, 0]  # musc, which the pair names first
    assert targets.sum() == 4


def test_montages_without_ears_lack_two_derivations() -> None:
    recordings = recordings_table(SEGMENTS, "tuar", acquisition=["01_tcp_ar", "03_tcp_ar_a"])
    found = [(r, 0.0, 9.0, "chew", name) for r in range(2) for name in TCP_NAMES]
    runs = TuarTask(mode="mc").find(recordings, events_table(found), CLOCK)
    yes_or_no = runs.targets
    runs = TuarTask(mode="mmc").find(recordings, events_table(found), CLOCK)
    assert runs.targets is not None
    assert yes_or_no is not None
    assert (np.isnan(yes_or_no) == np.isnan(runs.targets)).all()
    missing = np.isnan(runs.targets)
    assert not missing[runs.recording == 0].any()
    assert [TCP_NAMES[k] for k in np.flatnonzero(missing[runs.recording == 1][0])] == ["A1-T3", "T4-A2"]
    assert set(runs.targets[runs.recording == 1][0, [0, 7, 9, 21]]) == {2.0}


def test_answers() -> None:
    assert TuarTask().target_spec == ("binary", ("none", "artifact"), (), "")
    assert TuarTask(mode="ml").target_spec == ("multilabel", (), tuple(FIVE), "")
    assert TuarTask(mode="mmc").target_spec == ("multioutput", ("none", *FIVE), tuple(TCP_NAMES), "")
    with pytest.raises(ValidationError):
        TuarTask(min_overlap_ratio=0)
