"""The table of finetunings: answers that are dealt out anew, and shares of what can be reached."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.finetuning import SHUFFLED, STRATEGIES, rows, shuffled


def test_all_strategies_are_known() -> None:
    assert {"full", "lora", "scratch", "ridge", "knn"} <= set(STRATEGIES)
    assert len(STRATEGIES) == 10


def test_answers_of_persons_stay_those_of_persons_and_others_stay_within_them() -> None:
    n_persons, n_windows = 40, 5
    persons = np.repeat([f"p{number}" for number in range(n_persons)], n_windows)
    ages = np.repeat(np.arange(n_persons, dtype=float), n_windows)
    labels = np.tile(["closed", "open", "open", "closed", "open"], n_persons)
    unknown = [None] * len(persons)
    parts = {
        "age": {"label": unknown, "target": ages},
        "eyes": {"label": labels, "target": np.nan},
        "pretrain": {"label": unknown, "target": np.nan},
    }
    table = pd.concat([pd.DataFrame({"person": persons, "cut": cut, **of}) for cut, of in parts.items()])
    given = {"hbn__windows": table.reset_index(drop=True), "runs": Path("runs")}
    dealt = shuffled(given, seed=0)["hbn__windows"]
    by_cut = dict(list(dealt.groupby("cut")))
    assert by_cut["age"].groupby("person")["target"].nunique().eq(1).all()
    assert sorted(by_cut["age"]["target"]) == sorted(ages)
    assert (by_cut["age"]["target"].to_numpy() == ages).mean() < 0.2
    assert by_cut["eyes"].groupby("person")["label"].agg(lambda own: (own == "open").sum()).eq(3).all()
    assert (by_cut["eyes"]["label"].to_numpy() != labels).any()
    assert by_cut["pretrain"][["label", "target"]].isna().all(axis=None)


def test_rows_give_shares_of_what_can_be_reached_and_the_distance_from_chance() -> None:
    def block(value: float) -> dict[str, object]:
        return {"value": value, "interval_95": [value - 0.1, value + 0.1]}

    def task(value: float) -> dict[str, object]:
        difference = {"difference": value - 0.2, "interval_95": [value - 0.3, value - 0.1]}
        models = {"finetuned": {"r2": block(value), "pearson": block(value)}, "band_power": {"r2": block(0.2)}}
        return {"level": "person", "metric": "r2", "models": models, "difference": {"band_power": difference}}

    runs = {"full": {"tasks": {"hbn.age": task(0.5)}}, SHUFFLED: {"tasks": {"hbn.age": task(0.05)}}}
    text = "\n".join(rows("hbn.age", {"runs": runs, "best": {"hbn.age": {"r2": 0.625}}}))
    assert "| full | 0.500 (0.400 to 0.600) | 0.300 (0.200 to 0.400) | 80 % |" in text
    assert "| band_power | 0.200 (0.100 to 0.300) |  | 32 % |" in text
    assert "pearson 0.050, 1.0 standard errors from chance" in text
