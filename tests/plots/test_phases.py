"""The figure of phases shows the scores and differences that it is given."""

import pytest

from eegfm.plots.phases import phases_figure

FOUND = {
    "score": "balanced_accuracy", "simulated": True,
    "phases": {
        "pretrain": {"pooled": 0.6, "interval_95": [0.5, 0.65]},
        "contrast": {"pooled": 0.7, "interval_95": [0.6, 0.8]},
    },
    "differences": {
        "contrast": {"to": "pretrain", "of": "balanced_accuracy", "mean": 0.125, "interval_95": [-0.05, 0.25]}
    },
}  # fmt: skip


def test_scores_intervals_and_the_difference_to_the_phase_before() -> None:
    figure = phases_figure({"hbn.<eyes>": FOUND})
    [line] = figure.data
    assert (list(line.x), list(line.y)) == (["pretrain", "contrast"], [0.6, 0.7])
    assert line.error_y.array == pytest.approx([0.05, 0.1])
    assert line.error_y.arrayminus == pytest.approx([0.1, 0.1])
    assert list(line.text) == ["", "balanced accuracy: +0.125 (-0.050 to +0.250)"]
    titles = [note.text for note in figure.layout.annotations]
    assert "<b>hbn.&lt;eyes&gt;: balanced accuracy of the probe by phase (SIMULATED)</b>" in titles


def test_what_cannot_be_compared_is_a_sentence() -> None:
    figure = phases_figure({"hbn.eyes": {"differs": "The probes of a and b differ in method."}})
    assert not figure.data
    assert figure.layout.title.text == "hbn.eyes: The probes of a and b differ in method."
