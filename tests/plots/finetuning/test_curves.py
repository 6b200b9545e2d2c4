"""Curves of models: one panel per class or output, one line per model and seed, with the areas of scikit-learn."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from answered_windows import TARGETS
from eegfm.plots.finetuning import precision_recall_figure, roc_figure
from finetuned_results import MODELS, results_of


def area_titles(figure: go.Figure) -> list[str]:
    return [a.text for a in figure.layout.annotations if "finetuned: " in a.text or "no curve" in a.text]


def answers(rows: pd.DataFrame, shape: tuple[int, ...]) -> tuple[Any, Any]:
    return np.stack(rows["said"].to_list()).reshape(-1, *shape), np.stack(rows["truth"].to_list())


def expected(score: Any, name: str, predictions: pd.DataFrame) -> list[float]:
    """Mean over seeds of the area of each panel of the finetuned model."""
    target, by_seed = TARGETS[name], []
    rows = predictions[(predictions["task"] == f"hbn.{name}") & (predictions["model"] == "finetuned")]
    for _, own in rows.groupby("init"):
        said, truths = answers(own, target.output_shape)
        if target.kind == "multilabel":
            known = [~np.isnan(truths[:, k]) for k in range(3)]
            areas = [score(truths[known[k], k], said[known[k], k]) for k in range(3)]
        else:
            said, truth = said.reshape(-1, len(target.classes)), truths.reshape(-1)
            first = 1 if target.kind == "binary" else 0
            known_rows = truth >= 0
            areas = [score(truth[known_rows] == c, said[known_rows, c]) for c in range(first, len(target.classes))]
        by_seed.append(areas)
    return np.mean(by_seed, axis=0).tolist()


def test_each_panel_has_the_area_of_sklearn() -> None:
    metrics, predictions = results_of()
    for draw, score in ((roc_figure, roc_auc_score), (precision_recall_figure, average_precision_score)):
        figure = draw(metrics, predictions)
        shown = [float(title.rsplit(" ", 1)[1].rstrip(")")) for title in area_titles(figure)]
        names = ("binary", "multiclass", "multilabel", "multioutput")
        assert shown == pytest.approx([a for n in names for a in expected(score, n, predictions)], abs=6e-4)
        assert "hbn.regression: no " in figure.layout.title.text
        assert "the task asks for numbers" in figure.layout.title.text
        lines = [trace for trace in figure.data if trace.hoverinfo != "skip"]
        assert len(lines) == (1 + 5 + 3 + 3) * len(MODELS) * 2
        assert {trace.line.shape for trace in lines} == {"linear" if draw is roc_figure else "vh"}
        assert sum(trace.showlegend is True for trace in lines) == len(MODELS)


def test_auroc_of_a_binary_task_is_that_of_its_metrics() -> None:
    metrics, predictions = results_of({"binary": TARGETS["binary"]}, simulated=True, n_looks_before=3)
    figure = roc_figure(metrics, predictions)
    auroc = metrics["hbn.binary"]["models"]["finetuned"]["window"]["auroc"]["value"]
    assert area_titles(figure) == [f"b (finetuned: AUROC {auroc:.3f})"]
    first, second = figure.layout.annotations[-1].text.split("<br>")
    assert first == "<b>hbn.binary: ROC curves of windows</b>"
    assert second == "held-out test split, test persons scored 3 times before (SIMULATED)"


def test_a_class_that_does_not_occur_has_words_in_place_of_a_curve() -> None:
    metrics, predictions = results_of({"multiclass": TARGETS["multiclass"]})
    assert "no curve" not in area_titles(roc_figure(metrics, predictions))[3]
    predictions = predictions[[truth[0] != 3 for truth in predictions["truth"]]]
    titles = area_titles(roc_figure(metrics, predictions))
    assert titles[3] == "d: no curve, all windows or none are of it"
    assert titles[1].startswith("b (finetuned: AUROC 0.")


def test_merged_points_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics, predictions = results_of({"binary": TARGETS["binary"]})
    assert "merged" not in roc_figure(metrics, predictions).layout.annotations[-1].text
    monkeypatch.setattr("eegfm.plots.finetuning.turns.MOST_POINTS", 3)
    assert "; points closer than 0.001 are merged</b>" in roc_figure(metrics, predictions).layout.annotations[-1].text


def test_names_are_no_markup() -> None:
    target = TARGETS["binary"]._replace(classes=("x", '<a href="y">\x1b[1m'))
    metrics, predictions = results_of({"<b>": target}, models=("finetuned", "<i>m</i>"))
    text = roc_figure(metrics, predictions).to_json()
    assert "<a " not in text.replace("\\u003c", "<")
    assert "<i>" not in "".join(str(trace.name) for trace in roc_figure(metrics, predictions).data)
    titles = [a.text for a in roc_figure(metrics, predictions).layout.annotations]
    assert titles[0].startswith(r'&lt;a href="y"&gt;\x1b[1m (')
    assert titles[-1].startswith("<b>hbn.&lt;b&gt;: ROC")
