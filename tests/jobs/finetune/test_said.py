"""What models said of test windows, and the table of it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from answered_store import TARGETS
from eegfm.jobs.finetune import said as module
from eegfm.jobs.finetune.said import Said

N = {"fold 0": 3, "fold 1": 2}


def asked(kind: str) -> Said:
    """Two divisions of test windows with random answers, some of them unknown."""
    target, rng = TARGETS[kind], np.random.default_rng(0)
    tests = {}
    for number, (name, n) in enumerate(N.items()):
        windows = pd.DataFrame(
            {
                "corpus": "mine", "recording_id": [f"r{number}{k}" for k in range(n)], "start": range(n),
                "person": f"p{number}", "identity": f"i{number}",
            }
        )  # fmt: skip
        shape = (n,) if kind in ("binary", "multiclass") else (n, target.output_shape[0])
        if target.kind in ("multilabel", "regression"):
            truths = rng.integers(0, 2, shape).astype(np.float32)
            truths[0] = np.nan
        else:
            truths = rng.integers(-1, len(target.classes), shape)
        tests[name] = module.TestWindows(windows, truths)
    found = Said(target, tests)
    for model, init in (("finetuned", 1), ("finetuned", 0), ("band_power", 0)):
        for name, n in N.items():
            found.add(model, init, name, rng.random((n, *target.output_shape)))
    return found


@pytest.mark.parametrize("kind", TARGETS)
def test_the_table_gives_back_what_was_said_bit_by_bit(kind: str, tmp_path: Path) -> None:
    said = asked(kind)
    said.table("mine.task").to_parquet(tmp_path / "said.parquet")
    table = pd.read_parquet(tmp_path / "said.parquet")
    assert len(table) == 3 * sum(N.values())
    again = Said.of_table(said.target, said.tests, table)
    assert again.by_model.keys() == said.by_model.keys()
    for model in said.by_model:
        for one, other in zip(said.runs(model), again.runs(model), strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.shape == (sum(N.values()), *said.target.output_shape)


def test_runs_come_by_seed_and_windows_by_division() -> None:
    said = asked("binary")
    first, second = said.runs("finetuned")
    by_init = said.by_model["finetuned"]
    np.testing.assert_array_equal(first, np.concatenate([by_init[0]["fold 0"], by_init[0]["fold 1"]]))
    np.testing.assert_array_equal(second[3:], by_init[1]["fold 1"])
    assert said.windows["recording_id"].tolist() == ["r00", "r01", "r02", "r10", "r11"]
    truths = [said.tests[name].truths for name in N]
    np.testing.assert_array_equal(said.truths, np.concatenate(truths))


def test_the_table_has_one_row_per_model_seed_and_window() -> None:
    said = asked("multioutput")
    table = said.table("mine.task")
    row = table[(table["model"] == "finetuned") & (table["init"] == 1) & (table["recording_id"] == "r10")].iloc[0]
    assert (row["task"], row["division"], row["person"], row["identity"]) == ("mine.task", "fold 1", "p1", "i1")
    np.testing.assert_array_equal(row["said"], said.by_model["finetuned"][1]["fold 1"][0].ravel())
    np.testing.assert_array_equal(row["truth"], said.tests["fold 1"].truths[0])


def test_an_answer_is_missing() -> None:
    with pytest.raises(AssertionError, match="every test window has an answer"):
        asked("binary").add("finetuned", 0, "fold 0", np.zeros((2, 2)))
