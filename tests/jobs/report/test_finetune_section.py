"""The section about a finetuning: all models at all levels with intervals, differences, groups, looks and protocol."""

import math
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from eegfm.jobs.report.finetune_rows import difference_rows, finetune_rows, group_rows, share_rows
from eegfm.jobs.report.finetune_section import finetune_section


def score(value: float | None, **others: Any) -> dict[str, Any]:
    interval = [None, None] if value is None else [value - 0.1, value + 0.1]
    return {"value": value, "interval_95": interval, **others}


PERSONS = {"of": "-mae", "n_persons": 12, "n_persons_improved": 9, "wilcoxon": {"statistic": 3.0, "p": 1e-5}}
TASK: dict[str, Any] = {
    "models": {
        "finetuned": {
            "window": {"accuracy": score(0.7), "balanced_accuracy": score(0.6), "n_left_out": {"value": 0.0}},
            "recording": {"balanced_accuracy": score(0.8, sd=0.02, seeds=[0.78, 0.82]), "auroc": score(None)},
            "person": None,
        },
        "<majority>": {"window": {"balanced_accuracy": score(0.5)}},
    },
    "level": "recording",
    "compared_by": "balanced_accuracy",
    "paired_difference": {"<majority>": {"difference": 0.3, "interval_95": [0.1, 0.4], "per_person": PERSONS}},
    "groups": {
        "fewest_persons": 10,
        "by": {
            "sex": {
                "F": {"n_persons": 12, "n_windows": 90, "models": {"finetuned": {"balanced_accuracy": score(0.75)}}},
                "M": {"n_persons": 2, "n_windows": 9, "models": {}},
            }
        },
    },
    "protocol": {
        "target": {"kind": "binary", "classes": ["open", "closed"], "outputs": [], "unit": ""},
        "tuning": {"strategy": {"name": "full"}, "batch_size": 64},
        "start": {"phase": "contrast", "fingerprint": "abc"},
        "evaluation": "cross_validation",
        "simulated": True,
        "n_looks_before": 3,
    },
}


def test_rows_of_models_by_level() -> None:
    rows = finetune_rows(TASK).fillna("").to_dict("records")
    assert [(row["level"], row["model"]) for row in rows] == [
        ("recording", "finetuned"), ("window", "finetuned"), ("window", "<majority>"),
    ]  # fmt: skip
    first, second, third = rows
    assert (first["balanced accuracy"], first["95 % interval over persons"]) == ("0.800 ± 0.020", "0.700 to 0.900")
    assert (first["AUROC"], first["accuracy"]) == ("not defined", "")
    assert (second["accuracy"], third["95 % interval over persons"]) == ("0.700", "0.400 to 0.600")
    assert "n left out" not in first


def test_rows_of_differences_and_groups() -> None:
    (row,) = difference_rows(TASK).to_dict("records")
    assert row == {
        "finetuned minus": "<majority>", "difference": "0.300", "95 % interval over persons": "0.100 to 0.400",
        "persons with better MAE": "9 of 12", "Wilcoxon p": "1.0e-05",
    }  # fmt: skip
    first, second = group_rows(TASK).to_dict("records")
    assert (first["group"], first["persons"], first["windows"]) == ("sex: F", 12, 90)
    assert first["finetuned: balanced accuracy"] == "0.750 (0.650 to 0.850)"
    assert (second["group"], math.isnan(second["finetuned: balanced accuracy"])) == ("sex: M", True)
    assert all(
        isinstance(rows({**TASK, "paired_difference": {}, "groups": None}), pd.DataFrame)
        for rows in (difference_rows, group_rows)
    )


def test_rows_of_shares() -> None:
    shown = {
        "scores": {
            "finetuned": {"balanced_accuracy": score(0.6, sd=0.1)},
            "<majority>": {"balanced_accuracy": score(None)},
        }
    }
    shares = [
        {"ratio": 0.01, "n_persons": [0, 1], "n_fitted_persons": [1, 1], "too_few": "no <training> person"},
        {"ratio": 0.5, "n_persons": [3, 3], "n_fitted_persons": [5, 6], **shown},
    ]
    few, half = share_rows({**TASK, "label_efficiency": shares}).fillna("").to_dict("records")
    assert (few["share of training persons"], few["trained on"], few["finetuned"]) == ("1%", "0 to 1", "")
    assert few["why there is no score"] == "no <training> person"
    assert (half["closed forms fitted to"], half["finetuned"]) == ("5 to 6", "0.600 ± 0.100")
    assert (half["<majority>"], half["why there is no score"]) == ("not defined", "")
    assert share_rows(TASK).empty
    text = "".join(
        finetune_section({"a.b": {**TASK, "label_efficiency": shares}}, {"label_efficiency": go.Figure()}, {})
    )
    assert "With a share of the training persons" in text
    assert "no &lt;training&gt; person" in text
    assert "label efficiency</h3>" not in text, "a figure without lines is left out"
    drawn = {"label_efficiency": go.Figure(go.Scatter(y=[1]))}
    assert "<h3>Finetune: label efficiency</h3>" in "".join(finetune_section({"a.b": TASK}, drawn, {}))


def test_section() -> None:
    figures = {"roc": go.Figure(go.Scatter(y=[1, 2])), "precision_recall": go.Figure()}
    text = "\n".join(finetune_section({"hbn.<eyes>": TASK}, figures, {"contrast": "abc"}))
    heads = [
        "<h2>Finetuning</h2>", "<h3>Finetuning: hbn.&lt;eyes&gt;</h3>",
        "Evaluation: cross-validation, test persons scored 3 times before (SIMULATED).",
        "&lt;majority&gt;", "Paired differences of balanced accuracy, level recording",
        "groups below 10 persons have no score", "<h3>Finetune: roc</h3>", "<h3>Finetune: precision recall</h3>",
        "Protocol of the finetuning",
    ]  # fmt: skip
    places = [text.find(head) for head in heads]
    assert places == sorted(places)
    assert places[0] == 0
    assert text.count("Plotly.newPlot(") == 2
    assert "<majority>" not in text
    for key, value in (("target classes", "open, closed"), ("tuning strategy", "full"), ("tuning batch size", "64")):
        assert f"<td>{key}</td>\n      <td>{value}</td>" in text
    assert "another encoder" not in text


def test_another_encoder_than_that_of_the_page_is_said() -> None:
    text = "\n".join(finetune_section({"a.b": TASK}, {}, {"pretrain": "x", "contrast": "y"}))
    assert "The finetuning started from another encoder than this page tells of: contrast abc." in text
    bare = {**TASK, "protocol": {k: v for k, v in TASK["protocol"].items() if k != "start"}}
    assert "another encoder" not in "\n".join(finetune_section({"a.b": bare}, {}, {"pretrain": "x"}))
