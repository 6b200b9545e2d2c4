"""Confusion matrices are scikit-learn's: means over seeds, of the finetuned model and the best other one."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix

from answered_windows import TARGETS
from eegfm.plots.finetuning import confusion_figure
from finetuned_results import results_of

NAMES = ("binary", "multiclass", "multilabel", "multioutput")


def expected(name: str, model: str, predictions: pd.DataFrame) -> Any:
    """Counts of a model as the figure shows them, by scikit-learn."""
    target, found = TARGETS[name], []
    rows = predictions[(predictions["task"] == f"hbn.{name}") & (predictions["model"] == model)]
    for _, own in rows.groupby("init"):
        said = np.stack(own["said"].to_list()).reshape(-1, *target.output_shape)
        truths = np.stack(own["truth"].to_list())
        if target.kind == "multilabel":
            known = [~np.isnan(truths[:, k]) for k in range(3)]
            counts = [confusion_matrix(truths[r, k], said[r, k] > 0.5, labels=[0, 1]) for k, r in enumerate(known)]
            found.append([table.ravel() for table in counts])
        else:
            choice, truth = said.argmax(axis=-1).ravel(), truths.ravel()
            found.append(confusion_matrix(truth[truth >= 0], choice[truth >= 0], labels=range(len(target.classes))))
    return np.mean(found, axis=0)


def test_counts_are_those_of_sklearn() -> None:
    metrics, predictions = results_of({name: TARGETS[name] for name in (*NAMES, "regression")})
    figure = confusion_figure(metrics, predictions)
    assert len(figure.data) == 2 * len(NAMES)
    for name, shown in zip(NAMES, figure.data[::2], strict=True):
        counts = expected(name, "finetuned", predictions)
        assert np.asarray(shown.customdata) == pytest.approx(counts)
        text = np.asarray(shown.text, dtype=float)
        assert text == pytest.approx(counts, abs=0.051)
        of_class = counts.reshape(*counts.shape[:-1], -1, 2).sum(-1).repeat(2, -1) if name == "multilabel" else None
        totals = counts.sum(axis=1, keepdims=True) if of_class is None else of_class
        with np.errstate(invalid="ignore"):
            assert np.asarray(shown.z, dtype=float) == pytest.approx(counts / totals, nan_ok=True)
    assert list(figure.data[0].x) == list(figure.data[0].y) == ["a", "b"]
    assert list(figure.data[4].y) == ["u", "v", "w"]
    assert figure.layout.title.text == "hbn.regression: no confusion matrix, the task asks for numbers"


def test_the_best_other_model_stands_beside() -> None:
    metrics, predictions = results_of({"binary": TARGETS["binary"]})
    models = metrics["hbn.binary"]["models"]
    for model, value in (("majority", 0.5), ("finetuned", 0.9), ("band_power", 0.7), ("new_model", None)):
        models[model]["window"]["balanced_accuracy"]["value"] = value
    figure = confusion_figure(metrics, predictions)
    assert np.asarray(figure.data[1].customdata) == pytest.approx(expected("binary", "band_power", predictions))
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert titles[:2] == ["finetuned", "band power, the best other model by balanced accuracy"]


def test_names_are_no_markup() -> None:
    target = TARGETS["binary"]._replace(classes=("x", "<a href='y'>"))
    metrics, predictions = results_of({"t": target}, models=("finetuned",))
    figure = confusion_figure(metrics, predictions)
    assert list(figure.data[0].x) == ["x", "&lt;a href='y'&gt;"]
    assert len(figure.data) == 1
