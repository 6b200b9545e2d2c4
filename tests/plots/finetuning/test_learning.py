"""Learning curves show what was logged: a line per model, seed and division."""

import numpy as np
import pandas as pd

from eegfm.plots.finetuning import learning_curves


def history() -> pd.DataFrame:
    rows = []
    monitors = {"hbn.eyes": "val/balanced_accuracy", "hbn.age": "val/loss"}
    for task, metric in (("hbn.eyes", "val_balanced_accuracy"), ("hbn.age", "val_r2")):
        for model in ("eegnet", "finetuned"):
            for seed in (0, 1):
                for step in (2, 1, 3):
                    rows.append(
                        {
                            "task": task, "model": model, "seed": seed, "division": "<b>fold", "step": step,
                            "loss": 1 / step + seed, "val_loss": 2 / step if step > 1 else np.nan, "lr": 1e-4,
                            "val_auroc": 0.7, "monitor": monitors[task], metric: step / 10 if step == 3 else np.nan,
                        }
                    )  # fmt: skip
    return pd.DataFrame(rows)


def test_every_training_is_a_line() -> None:
    figure = learning_curves(history())
    assert len(figure.data) == 2 * 2 * 2 * 3
    first = figure.data[:3]
    assert [trace.name for trace in figure.data[:8]] == ["finetuned"] * 4 + ["eegnet"] * 4
    loss, validation = first[0], first[1]
    assert (list(loss.x), list(loss.y)) == ([1, 2, 3], [1.0, 0.5, 1 / 3])
    assert (list(validation.x), list(validation.y)) == ([2, 3], [1.0, 2 / 3])
    assert (loss.line.dash, validation.line.dash) == ("dot", "solid")
    metric = [trace for trace in figure.data if trace.xaxis == "x2"]
    assert [(list(trace.x), list(trace.y), trace.mode) for trace in metric] == [([3], [0.3], "markers")] * 4
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert "hbn.eyes: learning curves, 2 trainings of each model (seeds and folds)" in titles
    assert {"validation: balanced accuracy (compared)", "validation: r2"} <= set(titles)
    losses = "loss: training dotted, validation solid"
    assert {losses, f"{losses} (compared)"} <= set(titles)
    assert sum(trace.showlegend is True for trace in figure.data) == 2
    assert "&lt;b&gt;fold" in loss.hovertemplate


def test_the_metric_is_the_one_that_is_monitored() -> None:
    eyes = history().query("task == 'hbn.eyes'")
    figure = learning_curves(eyes.assign(monitor="val/auroc"))
    shown = [list(trace.y) for trace in figure.data if trace.xaxis == "x2"]
    assert shown == [[0.7] * 3] * 4
    assert "validation: auroc (compared)" in [annotation.text for annotation in figure.layout.annotations]
    mixed = learning_curves(eyes.assign(monitor=["val/loss"] * 8 + ["val/auroc"] * 4))
    titles = [annotation.text for annotation in mixed.layout.annotations]
    assert "validation: auroc (compared in some trainings)" in titles
    assert "loss: training dotted, validation solid (compared in some trainings)" in titles


def test_nothing_trained_is_said() -> None:
    assert learning_curves(pd.DataFrame()).layout.title.text == "no training, no learning curves"
