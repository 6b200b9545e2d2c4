"""Corpora with the faults that published ones have: none may be silently wrong, none may end in a traceback.

Each variant is made from its number alone: a small corpus of known truth, and one to four edits.
``EEGFM_VARIANTS=1000`` runs as many in place of 20; ``EEGFM_VARIANT=17`` runs the one with this number.
"""

import os
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fuzz.variant_edits import EDITS, edited
from fuzz.variant_files import Variant, draw_variant
from fuzz.variant_oracle import Outcome, Verdict, judge
from fuzz.variant_trial import run
from fuzz.variant_truth import draw_truth

N_VARIANTS = int(os.environ.get("EEGFM_VARIANTS", "20"))
ONLY = os.environ.get("EEGFM_VARIANT")
WORDS = ("right", "said", "silently wrong", "traceback")


def variant_of(number: int) -> Variant:
    """The variant with this number."""
    rng = np.random.default_rng(number)
    variant = draw_variant(rng, draw_truth(rng))
    return edited(variant, rng, int(rng.integers(1, 5)))


def unedited(number: int, kind: str = "") -> Variant:
    """A corpus without a fault, of one layout if it is named."""
    for shift in range(100):
        rng = np.random.default_rng([number, shift])
        variant = draw_variant(rng, draw_truth(rng))
        if kind in ("", variant.kind):
            return variant
    raise AssertionError(f"no variant of kind {kind}")


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, Variant, Verdict]]:
    numbers = range(N_VARIANTS) if ONLY is None else [int(ONLY)]
    out = []
    for number in numbers:
        variant = variant_of(number)
        out.append((number, variant, judge(variant, run(variant, tmp_path_factory.mktemp("variant")))))
    return out


def test_no_variant_is_silently_wrong_or_a_traceback(verdicts: list[tuple[int, Variant, Verdict]]) -> None:
    counts, by_edit = Counter[str](), Counter[tuple[str, str]]()
    for _, variant, verdict in verdicts:
        counts[verdict.word] += 1
        by_edit.update((edit.partition(":")[0], verdict.word) for edit in variant.edits)
    rows = [f"{edit.__name__:20s}" + "".join(f"{by_edit[edit.__name__, word]:16d}" for word in WORDS) for edit in EDITS]
    table = "\n".join([f"{'':20s}" + "".join(f"{word:>16s}" for word in WORDS), *rows, str(dict(counts))])
    sys.stdout.write(table + "\n")
    failed = [
        f"EEGFM_VARIANT={number}: {verdict.word}: {variant.kind}, {'; '.join(variant.edits)}\n    {verdict.why}"
        for number, variant, verdict in verdicts
        if verdict.word in ("silently wrong", "traceback")
    ]
    assert not failed, f"{len(failed)} of {len(verdicts)} variants\n" + "\n".join(failed)


@pytest.mark.skipif(ONLY is not None, reason="one variant alone")
def test_variants_get_in_and_are_refused(verdicts: list[tuple[int, Variant, Verdict]]) -> None:
    """A project that refused everything would never be silently wrong."""
    counts = Counter(verdict.word for *_, verdict in verdicts)
    assert counts["right"] > 0.15 * len(verdicts)
    assert counts["said"] > 0.15 * len(verdicts)


@pytest.mark.parametrize("number", range(6))
def test_a_corpus_without_a_fault_is_right(tmp_path: Path, number: int) -> None:
    variant = unedited(number, ("bids", "edf_folder")[number % 3 == 0])
    assert judge(variant, run(variant, tmp_path)) == Verdict("right")


def test_two_statements_of_a_reference_are_said(tmp_path: Path) -> None:
    variant = unedited(2, "bids")
    for file in variant.signals.values():
        file.labels = [f"{name}-LE" for name in file.labels]
    variant.sheets = {}
    variant.jsons = {path: {**content, "EEGReference": "average"} for path, content in variant.jsons.items()}
    flags = run(variant, tmp_path).recordings["flags"]
    assert all("reference_differs:linked_ears" in own for own in flags)


def test_every_edit_applies_to_some_corpus() -> None:
    for edit in EDITS:
        rngs = [np.random.default_rng([seed, 3]) for seed in range(60)]
        assert any(edit(draw_variant(rng, draw_truth(rng)), rng) for rng in rngs), edit.__name__


def _samples_late(variant: Variant, outcome: Outcome) -> None:
    name = next(iter(outcome.signals_uv))
    outcome.signals_uv[name] = np.roll(outcome.signals_uv[name], 2, axis=0)


def _channels_exchanged(variant: Variant, outcome: Outcome) -> None:
    name = next(iter(outcome.channels))
    outcome.channels[name] = outcome.channels[name][::-1]


def _other_age(variant: Variant, outcome: Outcome) -> None:
    outcome.recordings.loc[0, "age_years"] += 1


def _sex_lost(variant: Variant, outcome: Outcome) -> None:
    outcome.recordings["sex"] = ""


def _event_lost(variant: Variant, outcome: Outcome) -> None:
    outcome.events = outcome.events.iloc[1:]


def _event_renamed(variant: Variant, outcome: Outcome) -> None:
    outcome.events = outcome.events.assign(value=outcome.events["value"].str.replace("go", "go "))


def _window_late(variant: Variant, outcome: Outcome) -> None:
    outcome.windows = outcome.windows.assign(start=outcome.windows["start"] + 5)


def _bad_stretch_kept(variant: Variant, outcome: Outcome) -> None:
    variant.truth.takes[0].bad.append((5.5, 7.5))


def _bad_channel_kept(variant: Variant, outcome: Outcome) -> None:
    variant.truth.takes[0].bad_channels.add("C3")


def _reference_guessed(variant: Variant, outcome: Outcome) -> None:
    outcome.reference = dict.fromkeys(outcome.reference, "average")


def _file_without_row(variant: Variant, outcome: Outcome) -> None:
    outcome.file_outcomes, outcome.recordings = outcome.file_outcomes.iloc[1:], outcome.recordings.iloc[1:]


def _persons_joined(variant: Variant, outcome: Outcome) -> None:
    outcome.recordings["person"] = "mine:x"


def _counted_twice(variant: Variant, outcome: Outcome) -> None:
    variant.signals = {path: next(iter(variant.signals.values())) for path in variant.signals}


def _class_absent(variant: Variant, outcome: Outcome) -> None:
    variant.anchors["catch"] = ["catch"]


PLANTED = (
    _samples_late,
    _channels_exchanged,
    _other_age,
    _sex_lost,
    _event_lost,
    _event_renamed,
    _window_late,
    _bad_stretch_kept,
    _bad_channel_kept,
    _reference_guessed,
    _file_without_row,
    _persons_joined,
    _counted_twice,
    _class_absent,
)


@pytest.mark.parametrize("plant", PLANTED)
def test_the_oracle_sees_planted_faults(tmp_path: Path, plant) -> None:
    variant = unedited(1, "bids")
    outcome = run(variant, tmp_path)
    assert judge(variant, outcome).word == "right"
    plant(variant, outcome)
    assert judge(variant, outcome).word == "silently wrong"


def test_the_oracle_tells_errors_from_tracebacks() -> None:
    variant = unedited(1)
    clear = "participants.tsv: line 3 has 2 fields, the header has 3; correct it"
    assert judge(variant, Outcome(error=clear)).word == "said"
    assert judge(variant, Outcome(error="no")).word == "silently wrong"
    assert judge(variant, Outcome(error="KeyError: 'age'", is_crash=True)).word == "traceback"
