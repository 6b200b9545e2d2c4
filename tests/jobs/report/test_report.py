"""The page about a run: true counts, simulated named as such, nothing from the network, no text taken for HTML."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from eegfm.errors import LineageError
from eegfm.jobs.report.report import build_report


def score(pooled: float) -> dict[str, Any]:
    return {"balanced_accuracy": {"pooled": pooled, "interval_95": [pooled - 0.1, pooled + 0.1], "per_person": {}}}


def numbers(r2: float) -> dict[str, Any]:
    scores = {"r2": r2, "pearson": r2 + 0.2, "nrmse": 1 - r2, "mae": 2.5}
    return {name: {"pooled": value, "interval_95": [value - 0.1, value + 0.1]} for name, value in scores.items()}


PROTOCOL = {
    "task": "eyes",
    "n_persons": 3,
    "versions": {"numpy": "2"},
    "pretraining": {"fingerprint": "abc"},
    "n_looks_before": 2,
}
METRICS: dict[str, dict[str, Any]] = {
    "pretrain": {"n_steps": 6, "val_loss": 0.5, "fingerprint": "abc"},
    "probe": {
        "hbn.eyes": {
            "pretrained": score(0.7) | {"transductive": score(0.75)},
            "untrained": score(0.6) | {"transductive": score(0.65)},
            "band_power": score(0.8),
            "paired_difference": {"untrained": {"mean": 0.1}},
            "protocol": PROTOCOL,
        },
        "hbn.age": {
            "pretrained": numbers(0.2) | {"persons": numbers(0.4)},
            "band_power": numbers(0.1) | {"persons": numbers(0.3)},
            "protocol": PROTOCOL | {"task": "age", "answer": "number"},
        },
    },
}


def probed_with(fingerprint: str) -> dict[str, Any]:
    """The same probe, made with another encoder."""
    pretraining = {"pretraining": {"fingerprint": fingerprint}}
    return {task: {**found, "protocol": found["protocol"] | pretraining} for task, found in METRICS["probe"].items()}


SPLITS = pd.DataFrame(
    {
        "person": ["tuh:a", "tuh:b", "hbn:c"],
        "corpus": ["tuh", "tuh", "hbn"],
        "split": ["train", "train", "test"],
    }
)
MIXTURE = pd.DataFrame({"corpus": ["tuh"] * 3, "split": ["train"] * 2 + ["validation"], "n_windows": [1, 2, 1]})


def tables(*, simulated: bool = False, reason: str = "") -> dict[str, pd.DataFrame]:
    recordings = pd.DataFrame(
        {
            "person": ["a", "a", "b"],
            "n_samples": [36000, 72000, 72000],
            "rate_hz": 100.0,
            "original_rate_hz": [250.0, 256.0, 250.0],
            "montage": "21ch-average-1f0c",
            "flags": [[], ["flat:Cz"], []],
            "simulated": simulated,
        }
    )
    rejected = pd.DataFrame({"path": ["x.edf"], "reason": [reason]}) if reason else pd.DataFrame({"path": []})
    return {
        "recordings": recordings,
        "rejected": rejected,
        "windows": pd.DataFrame({"start": range(3), "n_windows": [1, 4, 2]}),
        "window_counts": pd.DataFrame({"cut": ["eyes"] * 2, "what": ["n_windows", "hours"], "count": [7.0, 7 / 360]}),
        "ingest_summary": pd.DataFrame({"outcome": ["in", "seen"], "files": [3, 3]}),
        "montages": pd.DataFrame({"montage": ["21ch-average-1f0c"], "original_rate_hz": [250.0], "recordings": [3]}),
        "unknown_channels": pd.DataFrame({"label": ["<ECG>"], "kind": ["left_out"], "recordings": [2]}),
    }


def page(**corpora: dict[str, pd.DataFrame]) -> str:
    figures = {"pretrain": {"one": go.Figure(go.Scatter(y=[1, 2]))}, "probe": {"two": go.Figure(go.Bar(y=[3]))}}
    return build_report("My <run>", corpora, SPLITS, MIXTURE, METRICS, figures)


def cells(text: str) -> list[list[str]]:
    """Rows of all tables, without a parser of HTML: the page's own tables are plain."""
    rows = text.replace("\n", "").split("<tr")[1:]
    return [
        [c.split(">", 1)[1].split("</t")[0] for c in row.split("</tr>")[0].replace("<th", "<td").split("<td")[1:]]
        for row in rows
    ]


def test_counts_of_a_corpus() -> None:
    rows = cells(page(tuh=tables()))
    assert rows[0][:6] == ["corpus", "persons", "recordings", "hours", "flags", "rejected files"]
    assert rows[1] == ["tuh", "2", "3", "0.5", "flat 1", "0", "7"]
    assert ["eyes", "7", "0.02"] in rows
    assert ["in", "3"] in rows
    assert ["21ch-average-1f0c", "250.0", "3"] in rows
    assert ["&lt;ECG&gt;", "left_out", "2"] in rows
    assert ["corpus", "test", "train"] in rows
    assert ["hbn", "1", "0"] in rows
    assert ["tuh", "0", "2"] in rows
    assert ["tuh", "3", "1"] in rows


def test_simulated_is_said_at_the_top_and_only_where_it_is_true() -> None:
    text = page(tuh=tables(simulated=True), real=tables())
    assert "SIMULATED recordings: tuh." in text
    assert text.index("SIMULATED") < text.index("<table")
    assert "<h1>My &lt;run&gt; (SIMULATED)</h1>" in page(tuh=tables(simulated=True))
    assert "SIMULATED" not in page(real=tables())


def test_probe_stands_beside_its_controls() -> None:
    rows = cells(page(tuh=tables()))
    assert ["pretrained", "0.700", "0.600 to 0.800"] in rows
    assert ["untrained", "0.600", "0.500 to 0.700"] in rows
    assert ["band_power", "0.800", "0.700 to 0.900"] in rows
    assert ["pretrained (z-scored per person, transductive)", "0.750", "0.650 to 0.850"] in rows
    assert not [r for r in rows if r and r[0].startswith("band_power (z-scored")]
    assert ["key", "hbn.eyes", "hbn.age"] in rows
    assert ["n_persons", "3", "3"] in rows
    assert page(tuh=tables()).count("<p>Test persons scored 2 times before.</p>") == 2
    assert ["answer", "", "number"] in rows
    assert not [r for r in rows if r and r[0] == "versions"]


def test_each_task_of_a_probe_has_a_table_of_its_own() -> None:
    text = page(tuh=tables())
    eyes, age = text.index("<h2>Probe: hbn.eyes</h2>"), text.index("<h2>Probe: hbn.age</h2>")
    assert eyes < text.index("balanced accuracy") < age < text.index("nRMSE")
    rows = cells(text)
    assert ["features", "R2", "95 % interval over persons", "Pearson r", "nRMSE", "MAE"] in rows
    first = rows.index(
        ["pretrained (mean prediction per person)", "0.400", "0.300 to 0.500", "0.600", "0.600", "2.500"]
    )
    assert rows[first + 1][:2] == ["band_power (mean prediction per person)", "0.300"]
    assert rows[first + 2][:2] == ["pretrained (windows)", "0.200"]


def test_page_needs_no_other_file_and_carries_the_library_once() -> None:
    text = page(tuh=tables())
    assert '<script src="' not in text
    assert "<link" not in text
    assert text.count("plotly.js v") == 1
    assert text.count("Plotly.newPlot(") == 2
    assert text.index("plotly.js v") < text.index("<h2>Pretrain: one</h2>") < text.index("<h2>Probe: two</h2>")


def test_a_figure_of_nothing_is_left_out() -> None:
    figures = {"probe": {"label_efficiency": go.Figure(), "comparison": go.Figure(go.Bar(y=[3]))}}
    text = build_report("t", {"tuh": tables()}, SPLITS, MIXTURE, METRICS, figures)
    assert "Probe: comparison" in text
    assert "label efficiency" not in text
    figures["probe"]["label_efficiency"] = go.Figure(go.Bar(y=[3]))
    assert "<h2>Probe: label efficiency</h2>" in build_report("t", {"tuh": tables()}, SPLITS, MIXTURE, METRICS, figures)


def test_rejected_files_are_listed_and_escaped() -> None:
    text = page(tuh=tables(reason="label <script>alert(1)</script>"))
    assert "Rejected files of tuh" in text
    assert "x.edf" in text
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "<h1>My &lt;run&gt;</h1>" in text


def test_names_on_the_page_are_printable() -> None:
    text = page(tuh=tables(reason="sub-\u202efde.\x1b[31mexe &"))
    assert r"sub-\u202efde.\x1b[31mexe &amp;" in text
    assert not {"\x1b", "\u202e"} & set(text)


def test_run_without_a_probe_has_no_probe_section() -> None:
    text = build_report("t", {"tuh": tables()}, SPLITS, MIXTURE, {"pretrain": METRICS["pretrain"]}, {})
    assert "<h2>Probe: " not in text
    assert "<h2>Training in numbers</h2>" in text


def test_a_finetuning_has_a_section_and_is_no_phase() -> None:
    target = {"kind": "binary", "classes": ["x", "y"], "outputs": [], "unit": ""}
    value = {"auroc": {"value": 0.625, "interval_95": [0.5, 0.75]}}
    task = {
        "models": {"finetuned": {"window": value}}, "level": "window", "compared_by": "auroc",
        "protocol": {"target": target, "evaluation": "split", "simulated": False, "n_looks_before": 0,
                     "start": {"phase": "pretrain", "fingerprint": "abc"}},
    }  # fmt: skip
    figures = {"finetune": {"roc": go.Figure(go.Scatter(y=[1, 2]))}}
    metrics = {**METRICS, "finetune": {"hbn.eyes": task}}
    text = build_report("t", {"tuh": tables()}, SPLITS, MIXTURE, metrics, figures)
    assert ["finetuned", "window", "0.625", "0.500 to 0.750"] in cells(text)
    assert "Phase" not in text
    assert text.index("Protocol of the probe") < text.index("<h2>Finetuning</h2>") < text.index("Finetune: roc")
    assert "another encoder" not in text
    metrics["pretrain"] = {**METRICS["pretrain"], "fingerprint": "other"}
    del metrics["probe"]
    assert "another encoder" in build_report("t", {"tuh": tables()}, SPLITS, MIXTURE, metrics, figures)


def test_each_of_several_phases_has_a_section() -> None:
    other = probed_with("def")
    metrics = {
        "pretrain": METRICS["pretrain"], "pretrain_probe": METRICS["probe"],
        "adapt": {"n_steps": 4, "fingerprint": "def"}, "probe": other,
    }  # fmt: skip
    figures = {name: {"history": go.Figure(go.Scatter(y=[1, 2]))} for name in ("pretrain", "adapt")}
    text = build_report("t", {"tuh": tables()}, SPLITS, MIXTURE, metrics, figures)
    assert text.count("plotly.js v") == 1
    first, second = text.split("<h2>Phase adapt</h2>")
    assert "<h2>Phase pretrain</h2>" in first
    for part, name in ((first, "Pretrain"), (second, "Adapt")):
        heads = ["<h3>Probe: hbn.eyes</h3>", f"<h3>{name}: history</h3>", "<h3>Training in numbers</h3>"]
        assert [part.count(head) for head in heads] == [1, 1, 1]
    assert "Phases side by side" not in text
    compared = {"phases": {"hbn.eyes": {"differs": "The probes of pretrain and adapt differ in method."}}}
    beside = build_report("t", {"tuh": tables()}, SPLITS, MIXTURE, {**metrics, **compared}, figures)
    assert beside.index("Phases side by side") < beside.index("<h2>Phase pretrain</h2>")
    assert "Phase phases" not in beside
    for wrong in ("pretrain_probe", "probe"):
        one = {**metrics[wrong], "hbn.age": probed_with("x")["hbn.age"]}
        with pytest.raises(LineageError, match=rf"made with encoder x, .*--pipelines={wrong}$"):
            build_report("t", {}, SPLITS, MIXTURE, {**metrics, wrong: one}, {})


def test_an_imported_encoder_and_a_phase_that_starts_from_it() -> None:
    report = {"fingerprint": "abc", "matched": [1, 2], "source": "elsewhere"}
    alone = {"import_weights": report, "probe": METRICS["probe"]}
    text = build_report("t", {"tuh": tables()}, SPLITS, None, alone, {})
    assert ["Imported encoder" in text, "<h2>Probe: hbn.age</h2>" in text, "Training in numbers" in text] == [
        True,
        True,
        False,
    ]
    both = {"import_weights": report, "pretrain_probe": METRICS["probe"], "adapt": {"fingerprint": "def"}}
    text = build_report("t", {"tuh": tables()}, SPLITS, MIXTURE, both, {})
    assert text.index("<h2>Imported encoder</h2>") < text.index("<h2>Phase pretrain</h2>")
    assert text.index("<h2>Phase pretrain</h2>") < text.index("<h2>Phase adapt</h2>")
    other = {"import_weights": {**report, "fingerprint": "other"}, "probe": METRICS["probe"]}
    with pytest.raises(LineageError, match="made with encoder abc, the encoder is other"):
        build_report("t", {"tuh": tables()}, SPLITS, None, other, {})


def test_a_probe_of_another_encoder_is_refused() -> None:
    metrics = {**METRICS, "pretrain": {**METRICS["pretrain"], "fingerprint": "other"}}
    with pytest.raises(LineageError, match=r"made with encoder abc, the encoder is other; .*--pipelines=probe"):
        build_report("t", {"tuh": tables()}, SPLITS, MIXTURE, metrics, {})
