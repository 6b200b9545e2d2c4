"""The figure of a probe shows the numbers that it is given, task by task."""

from typing import Any

import pytest

from eegfm.plots.comparison import comparison_figure

KINDS = ["pretrained", "log_covariance", "band_power"]


def interval(pooled: float) -> dict[str, Any]:
    return {"pooled": pooled, "interval_95": [pooled - 0.1, pooled + 0.05]}


def classes(*pooled: float, **protocol: Any) -> dict[str, Any]:
    """Scores of each kind of features; the person called ``a`` has 0.2 more."""
    said = {"classes": ["x", "y", "z"], "simulated": True, "n_looks_before": 0, **protocol}
    blocks = {
        kind: {"balanced_accuracy": {**interval(value), "per_person": {"a": value + 0.2}}}
        for kind, value in zip(KINDS, pooled, strict=True)
    }
    return {**blocks, "protocol": said}


def numbers(*pooled: float, is_of_person: bool) -> dict[str, Any]:
    """R2 of windows, and 0.3 more for persons."""
    blocks: dict[str, Any] = {}
    for kind, value in zip(KINDS, pooled, strict=True):
        blocks[kind] = {"r2": interval(value)} | ({"persons": {"r2": interval(value + 0.3)}} if is_of_person else {})
    return {**blocks, "protocol": {"is_of_person": is_of_person, "simulated": False, "n_looks_before": 1}}


def test_classes_are_bars_intervals_persons_and_chance() -> None:
    figure = comparison_figure({"hbn.eyes": classes(0.7, 0.6, 0.8)})
    bar, person = figure.data
    assert list(bar.x) == KINDS
    assert list(bar.y) == [0.7, 0.6, 0.8]
    assert bar.error_y.array == pytest.approx([0.05] * 3)
    assert bar.error_y.arrayminus == pytest.approx([0.1] * 3)
    assert (person.name, list(person.y)) == ("a", pytest.approx([0.9, 0.8, 1.0]))
    assert figure.layout.shapes[0].y0 == pytest.approx(1 / 3)
    assert [a.text for a in figure.layout.annotations if a.text != "chance"] == [
        "hbn.eyes: balanced accuracy on held-out persons (SIMULATED)<br>test persons never scored before"
    ]


def test_titles_say_how_persons_were_held_out() -> None:
    official: dict[str, Any] = {"evaluation": "split", "tested_for": ["official test set tuab eval"]}
    trained = {"method": "linear_probe", "method_of_controls": "ridge"}
    figure = comparison_figure(
        {
            "a.x": classes(0.7, 0.6, 0.8, evaluation="cross_validation", n_folds=5),
            "a.y": classes(0.7, 0.6, 0.8, **official),
            "a.z": classes(0.7, 0.6, 0.8, **official, **trained),
        }
    )
    shown = [a.text.partition("<br>")[2] for a in figure.layout.annotations if a.text != "chance"]
    split = "split train and validation to split test (official test set tuab eval), "
    assert shown == [
        "cross-validation of 5 folds, test persons never scored before",
        f"{split}test persons never scored before",
        f"{split}linear probe on encoders and ridge on controls, test persons never scored before",
    ]


def test_each_task_has_a_row() -> None:
    tasks = {
        "hbn.eyes": classes(0.7, 0.6, 0.8),
        "hbn.age": numbers(0.1, 0.0, 0.2, is_of_person=True),
        "hbn.time": numbers(-0.5, 0.0, 0.1, is_of_person=False),
    }
    figure = comparison_figure(tasks)
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert [trace.yaxis for trace in bars] == ["y", "y2", "y3"]
    assert [list(trace.y) for trace in bars] == [
        [0.7, 0.6, 0.8], pytest.approx([0.4, 0.3, 0.5]), [-0.5, 0.0, 0.1],
    ]  # fmt: skip
    assert [trace.showlegend for trace in bars] == [True, False, False]
    assert len(figure.data) == 4, "numbers have no points of persons"
    titles = [a.text for a in figure.layout.annotations]
    assert "hbn.age: R2 over held-out persons, one mean prediction each<br>test persons scored once before" in titles
    assert "hbn.time: R2 on windows of held-out persons<br>test persons scored once before" in titles
    assert [shape.y0 for shape in figure.layout.shapes] == [pytest.approx(1 / 3), 0, 0]


def test_a_person_of_two_tasks_stands_in_the_legend_once() -> None:
    figure = comparison_figure({"a.x": classes(0.7, 0.6, 0.8), "a.y": classes(0.5, 0.5, 0.5)})
    persons = [trace for trace in figure.data if trace.type == "scatter"]
    assert [trace.showlegend for trace in persons] == [True, False]
    assert len({trace.legendgroup for trace in persons}) == 1


def test_a_person_is_a_name_and_no_link() -> None:
    score = {**interval(0.7), "per_person": {'<a href="x">\x1b[1mb</a>': 0.5}}
    protocol = {"classes": ["x", "y"], "simulated": False, "n_looks_before": 0}
    figure = comparison_figure({"<b>.x": {"pretrained": {"balanced_accuracy": score}, "protocol": protocol}})
    assert figure.data[1].name == r'&lt;a href="x"&gt;\x1b[1mb&lt;/a&gt;'
    assert list(figure.data[1].y) == [0.5]
    assert figure.layout.annotations[0].text.startswith("&lt;b&gt;.x: ")
