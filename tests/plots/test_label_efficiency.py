"""The figure of label efficiency has a line per kind of features, with a point for every share that has a score."""

from typing import Any

import pytest

from eegfm.plots.label_efficiency import label_efficiency_figure


def block(pooled: float, name: str = "balanced_accuracy") -> dict[str, Any]:
    return {name: {"pooled": pooled, "interval_95": [pooled - 0.1, pooled + 0.05]}}


def rows(**kinds: list[float]) -> list[dict[str, Any]]:
    scored = [
        {
            "ratio": ratio,
            "n_persons": [3 * k + 2, 3 * k + 3],
            "scores": {kind: block(v[k]) for kind, v in kinds.items()},
        }
        for k, ratio in enumerate((0.1, 1.0))
    ]
    return [{"ratio": 0.01, "n_persons": [0, 1], "too_few": "0 training persons in a fold"}, *scored]


PROTOCOL = {"protocol": {"simulated": False}}


def test_lines_of_the_shares_that_have_scores() -> None:
    figure = label_efficiency_figure(
        {"hbn.eyes": {**PROTOCOL, "label_efficiency": rows(pretrained=[0.6, 0.8], x=[0.5, 0.7])}}
    )
    first, second = figure.data
    assert (first.name, list(first.x), list(first.y)) == ("pretrained", [10, 100], [0.6, 0.8])
    assert (second.name, list(second.y)) == ("x", [0.5, 0.7])
    assert first.error_y.array == pytest.approx([0.05] * 2)
    assert first.error_y.arrayminus == pytest.approx([0.1] * 2)
    assert list(first.customdata) == ["2 to 3", "5 to 6"]
    assert figure.layout.xaxis.type == "log"


def test_scores_of_persons_are_shown_where_there_are_some() -> None:
    found = {"r2": block(9.0, "r2")["r2"], "persons": block(0.25, "r2")}
    one = {"ratio": 0.5, "n_persons": [4, 4], "scores": {"pretrained": found}}
    figure = label_efficiency_figure({"hbn.age": {**PROTOCOL, "label_efficiency": [one]}})
    assert list(figure.data[0].y) == [0.25]
    assert any("r2 by training persons" in note.text for note in figure.layout.annotations)


def test_a_task_without_scores_is_a_sentence() -> None:
    too_few = {"ratio": 0.01, "n_persons": [0, 1], "too_few": "0 training persons in a fold"}
    figure = label_efficiency_figure({"a": {**PROTOCOL}, "b": {**PROTOCOL, "label_efficiency": [too_few]}})
    assert not figure.data
    assert figure.layout.title.text == (
        "a: label efficiency: off, see probe.label_ratios<br>b: label efficiency: no share has enough persons"
    )
