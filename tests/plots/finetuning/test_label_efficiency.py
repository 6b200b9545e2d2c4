"""Lines of a finetuning over shares of the training persons."""

from answered_windows import TARGETS
from eegfm.plots.finetuning import label_efficiency_figure
from finetuned_results import results_of


def score(value: float | None) -> dict[str, object]:
    return {"balanced_accuracy": {"value": value, "interval_95": [None, None] if value is None else [0.1, 0.9]}}


def test_a_line_per_model_over_shares_that_have_scores() -> None:
    metrics, _ = results_of({"eyes": TARGETS["binary"], "other": TARGETS["binary"], "few": TARGETS["binary"]})
    few = {"ratio": 0.01, "n_persons": [0, 0], "n_fitted_persons": [0, 1], "too_few": "no training person"}
    shares = [
        {
            "ratio": ratio,
            "n_persons": [n, m],
            "n_fitted_persons": [n + 2, m + 2],
            "scores": {"majority": score(0.5), "finetuned": score(value)},
        }
        for ratio, n, m, value in ((0.1, 2, 3, None), (1.0, 20, 20, 0.7))
    ]
    metrics["hbn.eyes"]["label_efficiency"] = [few, *shares]
    metrics["hbn.eyes"]["protocol"]["strategy"] = {"name": "full"}
    metrics["hbn.few"]["label_efficiency"] = [few]
    figure = label_efficiency_figure(metrics)
    first, second = figure.data
    assert (first.name, list(first.x), list(first.y)) == ("finetuned", [10, 100], [None, 0.7])
    assert (second.name, list(second.y)) == ("majority", [0.5, 0.5])
    assert list(first.customdata) == ["2 to 3 trained on; all who select", "20 trained on; all who select"]
    assert list(second.customdata) == ["4 to 5 fitted to", "22 fitted to"]
    assert [round(distance, 9) for distance in first.error_y.array] == [0, 0.2]
    assert [round(distance, 9) for distance in first.error_y.arrayminus] == [0, 0.6]
    assert figure.layout.xaxis.type == "log"
    (title,) = (note.text for note in figure.layout.annotations if "by share of training persons" in note.text)
    assert title.startswith("<b>hbn.eyes: balanced accuracy of windows by share of training persons</b>")
    assert figure.layout.xaxis.title.text == "share of training persons, %"
    metrics["hbn.eyes"]["protocol"]["strategy"] = {"name": "ridge"}
    assert list(label_efficiency_figure(metrics).data[0].customdata) == ["4 to 5 fitted to", "22 fitted to"]
    assert figure.layout.title.text == (
        "hbn.other: label efficiency: off, see finetune.label_ratios<br>hbn.few: label efficiency: no share has enough "
        "persons"
    )
