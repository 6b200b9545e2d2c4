"""Probes of phases, paired over the same persons."""

import copy
import json
from typing import Any

import numpy as np
import pytest
from scipy.stats import wilcoxon

from eegfm.evaluation.phases import compare_phases

PERSONS = [f"p{k}" for k in range(12)]
PROTOCOL = {
    "cut": "eyes", "identities": PERSONS, "splits_sha256": "s", "n_windows": 99, "n_folds": 3, "method": "ridge",
    "n_bootstrap": 500, "seed": 0, "simulated": False,
}  # fmt: skip


def scores(seed: int, shift: float) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    return dict(zip(PERSONS, (0.5 + shift + 0.1 * rng.normal(size=12)).tolist(), strict=True))


def probe(seed: int, shift: float, **protocol: Any) -> dict[str, Any]:
    score = {"pooled": 0.5 + shift, "interval_95": [0.4, 0.6], "inits": [0.5], "per_person": scores(seed, shift)}
    return {"hbn.eyes": {"pretrained": {"balanced_accuracy": score}, "protocol": {**PROTOCOL, **protocol}}}


def test_each_phase_is_compared_with_the_one_before() -> None:
    found = compare_phases({"pretrain": probe(0, 0.0), "contrast": probe(1, 0.2), "adapt": probe(2, 0.1)})["hbn.eyes"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["score"] == "balanced_accuracy"
    assert [score["pooled"] for score in found["phases"].values()] == [0.5, 0.7, 0.6]
    assert {phase: one["to"] for phase, one in found["differences"].items()} == {
        "contrast": "pretrain", "adapt": "contrast"
    }  # fmt: skip
    one = found["differences"]["contrast"]
    expected = np.array([scores(1, 0.2)[p] - scores(0, 0.0)[p] for p in PERSONS])
    assert one["mean"] == pytest.approx(expected.mean())
    assert (one["n_persons"], one["n_persons_improved"]) == (12, int((expected > 0).sum()))
    assert one["wilcoxon"]["p"] == pytest.approx(wilcoxon(expected).pvalue)
    # The percentile interval of a mean is near that of the normal distribution.
    half = 1.96 * expected.std() / np.sqrt(12)
    assert one["interval_95"] == pytest.approx([expected.mean() - half, expected.mean() + half], abs=0.3 * half)


def test_persons_are_paired_by_name() -> None:
    shuffled = probe(1, 0.2)
    score = shuffled["hbn.eyes"]["pretrained"]["balanced_accuracy"]
    score["per_person"] = dict(reversed(score["per_person"].items()))
    both = [compare_phases({"a": probe(0, 0.0), "b": second})["hbn.eyes"] for second in (probe(1, 0.2), shuffled)]
    assert both[0]["differences"]["b"]["mean"] == pytest.approx(both[1]["differences"]["b"]["mean"])
    assert both[0]["differences"]["b"]["per_person"] == both[1]["differences"]["b"]["per_person"]


def test_errors_of_numbers_count_negative_and_those_of_persons_are_meant() -> None:
    def of_numbers(seed: int, shift: float) -> dict[str, Any]:
        interval = {"interval_95": [0.0, 1.0]}
        windows = {"r2": {"pooled": 9.0, **interval}, "mae": {"pooled": 9.0, "per_person": dict.fromkeys(PERSONS, 9.0)}}
        persons = {"r2": {"pooled": shift, **interval}, "mae": {"pooled": 1.0, "per_person": scores(seed, shift)}}
        return {"hbn.age": {"pretrained": {**windows, "persons": persons}, "protocol": PROTOCOL}}

    found = compare_phases({"a": of_numbers(0, 0.3), "b": of_numbers(0, 0.1)})["hbn.age"]
    assert (found["score"], found["phases"]["b"]["pooled"]) == ("r2", 0.1)
    assert found["differences"]["b"]["of"] == "-mae"
    assert found["differences"]["b"]["mean"] == pytest.approx(0.2), "the error fell"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"identities": PERSONS[1:]}, "identities"),
        ({"splits_sha256": "t", "n_folds": 4}, "splits sha256, n folds"),
        ({"method": "logistic"}, "method"),
    ],
)
def test_other_persons_splits_or_fits_are_not_compared(changed: dict[str, Any], said: str) -> None:
    found = compare_phases({"a": probe(0, 0.0), "b": probe(1, 0.2, **changed)})
    assert found == {
        "hbn.eyes": {"differs": f"The probes of a and b differ in {said}: their scores cannot be compared."}
    }


def test_equal_scores_have_no_test_and_one_phase_has_no_table() -> None:
    assert compare_phases({"a": probe(0, 0.0)}) == {}
    assert compare_phases({"a": probe(0, 0.0), "b": {"hbn.age": probe(0, 0.0)["hbn.eyes"]}}) == {}
    same = compare_phases({"a": probe(0, 0.0), "b": copy.deepcopy(probe(0, 0.0))})["hbn.eyes"]["differences"]["b"]
    assert (same["mean"], same["wilcoxon"]) == (0.0, {"statistic": None, "p": None})
