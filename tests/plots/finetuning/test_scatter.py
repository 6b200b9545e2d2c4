"""True numbers against said ones: windows, or persons where each has one number."""

import numpy as np
import pandas as pd
import pytest

from answered_windows import TARGETS
from eegfm.plots.finetuning import scatter, scatter_figure
from finetuned_results import results_of


def numbers(predictions: pd.DataFrame, model: str = "finetuned", output: int = 0) -> pd.DataFrame:
    rows = predictions[predictions["model"] == model].copy()
    rows["x"], rows["y"] = ([v[output] for v in rows[name]] for name in ("truth", "said"))
    return rows.dropna(subset=["x"])


def test_each_window_of_each_output_is_a_point() -> None:
    metrics, predictions = results_of({"many": TARGETS["regressions"], "eyes": TARGETS["binary"]})
    predictions.loc[0, "truth"][1] = np.nan
    figure = scatter_figure(metrics, predictions)
    points = [trace for trace in figure.data if trace.mode == "markers"]
    assert len(points) == 3 * 2
    own = predictions[predictions["task"] == "hbn.many"]
    for output, trace in enumerate(points[::2]):
        rows = numbers(own, output=output)
        shown = np.array(sorted(zip(trace.x, trace.y, strict=True)))
        assert shown == pytest.approx(np.array(sorted(zip(rows["x"], rows["y"], strict=True))))
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert titles[0] == "u: finetuned"
    assert titles[1].startswith("u: ")
    assert titles[1].endswith("the best other model by r2")
    assert "true and said numbers of windows, all seeds" in titles[-1]
    assert figure.layout.title.text == "hbn.eyes: no scatter, the task asks for classes"


def test_a_person_is_a_point_where_persons_are_compared() -> None:
    metrics, predictions = results_of({"age": TARGETS["regression"]}, n_inits=1)
    metrics["hbn.age"]["level"] = "person"
    figure = scatter_figure(metrics, predictions)
    rows = numbers(predictions).groupby("identity")[["x", "y"]].mean()
    assert list(figure.data[0].x) == pytest.approx(list(rows["x"]))
    assert list(figure.data[0].y) == pytest.approx(list(rows["y"]))
    assert list(figure.data[0].text) == list(rows.index)
    assert "numbers of persons (means of their windows)" in figure.layout.annotations[-1].text
    assert figure.layout.xaxis.title.text == "true (s)"


def test_many_points_are_counted_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scatter, "MOST_POINTS", 20)
    metrics, predictions = results_of({"age": TARGETS["regression"]}, n_inits=1)
    figure = scatter_figure(metrics, predictions)
    assert figure.data[0].type == "heatmap"
    assert np.nansum(np.asarray(figure.data[0].z, dtype=float)) == len(numbers(predictions))
    assert "counted on a grid of 60 x 60" in figure.layout.annotations[-1].text
