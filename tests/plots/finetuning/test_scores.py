"""The figure of a finetuning shows every model with its interval, and says how it was evaluated."""

from typing import Any

import pytest

from answered_windows import TARGETS
from eegfm.plots.finetuning import finetuning_figure
from finetuned_results import protocol_of

BINARY, AGE = TARGETS["binary"], TARGETS["regression"]


def score(value: float | None, interval: list[float | None] | None) -> dict[str, Any]:
    return {"value": value, "interval_95": interval}


def block(target: Any, level: str, name: str, scores: dict[str, Any], **protocol: Any) -> dict[str, Any]:
    models = {model: {"window": {name: score(0.0, [0, 0])}, level: {name: found}} for model, found in scores.items()}
    return {"models": models, "level": level, "compared_by": name, "protocol": protocol_of(target, **protocol)}


METRICS = {
    "hbn.eyes": block(
        BINARY, "recording", "balanced_accuracy",
        {"majority": score(0.5, [0.5, 0.5]), "mine": score(0.9, None), "finetuned": score(0.8, [0.7, 0.85])},
        n_looks_before=1,
    ),
    "tuh.age": block(
        AGE, "person", "r2", {"finetuned": score(-0.2, [-0.5, 0.1]), "eegnet": score(None, [None, None])},
        n_looks_before=12, simulated=True, evaluation="cross_validation",
    ),
}  # fmt: skip


def test_models_stand_in_their_order_with_intervals() -> None:
    figure = finetuning_figure(METRICS)
    eyes, age = figure.data
    assert list(eyes.x) == ["finetuned", "majority", "mine"]
    assert list(eyes.y) == [0.8, 0.5, 0.9]
    assert list(eyes.error_y.array) == pytest.approx([0.05, 0, 0])
    assert list(eyes.error_y.arrayminus) == pytest.approx([0.1, 0, 0])
    assert list(eyes.customdata) == ["0.700 to 0.850", "none", "none"]
    assert (list(age.x), list(age.y)) == (["finetuned"], [-0.2])
    assert [shape.y0 for shape in figure.layout.shapes] == [0.5, 0.0]
    assert [trace.showlegend for trace in figure.data] == [True, False]


def test_titles_say_how_it_was_evaluated() -> None:
    titles = [annotation.text for annotation in finetuning_figure(METRICS).layout.annotations]
    assert (
        "<b>hbn.eyes: balanced accuracy of recordings</b><br>held-out test split, test persons scored once before"
        in titles
    )
    assert (
        "<b>tuh.age: r2 of persons</b><br>cross-validation, test persons scored 12 times before (SIMULATED)" in titles
    )
    assert "not defined for eegnet" in titles


def test_names_are_no_markup() -> None:
    found = block(BINARY, "window", "auroc", {"<a href='x'>b</a>": score(0.5, None)})
    figure = finetuning_figure({"<i>": found})
    assert list(figure.data[0].x) == ["&lt;a href='x'&gt;b&lt;/a&gt;"]
    assert figure.layout.annotations[-1].text.startswith("<b>&lt;i&gt;: auroc of windows</b>")
