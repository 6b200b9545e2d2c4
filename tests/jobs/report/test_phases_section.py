"""Phases side by side on the page."""

import plotly.graph_objects as go

from eegfm.jobs.report.phases_section import phases_rows, phases_section

FOUND = {
    "score": "balanced_accuracy",
    "phases": {
        "pretrain": {"pooled": 0.6, "interval_95": [0.5, 0.7]},
        "contrast": {"pooled": 0.7, "interval_95": [0.6, 0.8]},
    },
    "differences": {
        "contrast": {
            "to": "pretrain", "of": "balanced_accuracy", "mean": 0.1, "interval_95": [-0.02, 0.2],
            "n_persons": 12, "n_persons_improved": 9, "wilcoxon": {"statistic": 4.0, "p": 0.0123},
        }
    },
}  # fmt: skip


def test_rows_of_phases() -> None:
    first, second = phases_rows("hbn.eyes", FOUND).to_dict("records")
    assert (first["phase"], first["pooled"], first["minus"]) == ("pretrain", "0.600", "")
    assert second == {
        "task": "hbn.eyes", "phase": "contrast", "score": "balanced accuracy", "pooled": "0.700",
        "95 % interval over persons": "0.600 to 0.800", "minus": "pretrain", "of": "balanced accuracy",
        "mean over persons": "+0.100", "95 % interval": "-0.020 to 0.200", "persons improved": "9 of 12",
        "Wilcoxon p": "0.0123",
    }  # fmt: skip


def test_one_phase_has_no_section_and_what_differs_is_one_line() -> None:
    assert phases_section({}, {}) == []
    differs = {"differs": "The probes of a and b differ in <method>."}
    text = "".join(phases_section({"hbn.eyes": differs}, {"comparison": go.Figure()}))
    assert text == "<h2>Phases side by side</h2><p>hbn.eyes: The probes of a and b differ in &lt;method&gt;.</p>"
    both = "".join(phases_section({"hbn.eyes": differs, "hbn.age": FOUND}, {"comparison": go.Figure(go.Bar(y=[1]))}))
    assert "<table" in both
    assert "plotly" in both
