"""Scores by group: every group keeps its place and its count, also without a score."""

import pytest

from answered_windows import TARGETS
from eegfm.plots.finetuning import groups_figure
from finetuned_results import results_of


def test_groups_with_and_without_a_score() -> None:
    metrics, _ = results_of({"eyes": TARGETS["binary"], "other": TARGETS["binary"]})
    score = {"value": 0.8, "interval_95": [0.7, 0.85]}
    models = {"band_power": {"balanced_accuracy": {"value": 0.6, "interval_95": [None, None]}}}
    models["finetuned"] = {"balanced_accuracy": score}
    metrics["hbn.eyes"]["groups"] = {
        "fewest_persons": 10,
        "level": "person",
        "by": {
            "sex": {
                "<F>": {"n_persons": 12, "n_windows": 40, "models": models},
                "M": {"n_persons": 3, "n_windows": 9, "models": {}},
            }
        },
    }
    figure = groups_figure(metrics)
    assert [trace.name for trace in figure.data] == ["finetuned", "band power"]
    assert list(figure.layout.xaxis.categoryarray) == ["&lt;F&gt;<br>12 persons", "M<br>3 persons"]
    assert list(figure.data[0].y) == [0.8, None]
    assert figure.data[0].error_y.array[0] == pytest.approx(0.05)
    assert figure.data[0].error_y.arrayminus[0] == pytest.approx(0.1)
    assert figure.data[1].error_y.array[0] == 0
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert titles[0] == "by sex"
    assert "balanced accuracy of persons by group (no score below 10 persons)" in titles[1]
    assert figure.layout.title.text.startswith("hbn.other: no results by group")
