"""The table of the adapters, from lines as the benchmark yields them."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.adapters import ADAPTERS, TABLE, difference_to, pooled_score, write_docs

from eegfm.training.config import PretrainParams
from kedro_project import PROJECT_ROOT


def lines() -> list[dict]:
    cost = {"step_ms": 81.6, "forward_hbn_ms": 20.0, "forward_tuh_ms": 4.4, "peak_mb": 38.1}
    cost |= {"n_adapter_parameters": 22941, "n_channels_hbn": 129, "n_channels_tuh": 21}
    probe = {"pretrained": 0.8, "low": 0.7, "high": 0.9, "untrained": 0.6, "band_power": 0.75, "n_seeds": 3}
    probe |= {"n_persons": 18, "more_than_none": [0.05, -0.01, 0.11]}
    found = [{"case": f"cost_{name}", **cost} for name in ADAPTERS]
    return found + [{"case": f"probe_{name}", **probe} for name in ADAPTERS]


def test_the_table_replaces_what_stood_between_the_marks(tmp_path: Path) -> None:
    content = {"machine": {"cpu": "a processor", "commit": "abc+"}, "lines": lines()}
    (tmp_path / "r.json").write_text(json.dumps(content))
    page = tmp_path / "page.md"
    page.write_text(f"before\n{TABLE[0]}\nold\n{TABLE[1]}\nafter\n")
    for _ in range(2):
        write_docs(tmp_path / "r.json", page)
    text = page.read_text()
    assert (text.startswith("before\n"), text.endswith("\nafter\n"), "old" in text) == (True, True, False)
    rows = [row for row in text.splitlines() if row.startswith("|")]
    assert len(rows) == 2 + len(ADAPTERS)
    costs, scores = "129 / 21 | 82 | 20 / 4 | 38 | 22,941", "0.800 (0.700–0.900) | 0.600 | +0.050 (-0.010 to +0.110)"
    assert f"| `perceiver_1020_19` | {costs} | {scores} |" in rows
    assert "a processor, one thread, commit abc+; 3 seeds, 18 held-out persons; band power alone: 0.750." in text


def test_the_page_has_a_place_for_it() -> None:
    page = (PROJECT_ROOT / "docs" / "adapters.md").read_text(encoding="utf-8")
    assert page.count(TABLE[0]) == page.count(TABLE[1]) == 1


@pytest.mark.parametrize("name", ADAPTERS)
def test_every_choice_is_on_the_menu(name: str) -> None:
    assert PretrainParams(adapter=ADAPTERS[name], n_steps=1).adapter.name == ADAPTERS[name]["name"]


def test_scores_are_those_of_all_windows_and_differences_those_of_persons() -> None:
    good, bad = np.array([[[9, 1], [1, 9]], [[4, 0], [0, 4]]]), np.array([[[5, 5], [5, 5]], [[2, 2], [2, 2]]])
    found = pooled_score([good, bad])
    assert found["per_seed"] == pytest.approx([26 / 28, 0.5])
    assert found["pooled"] == pytest.approx((26 / 28 + 0.5) / 2)
    assert found["interval_95"][0] <= found["pooled"] <= found["interval_95"][1]
    mean, low, high = difference_to([good], [bad])
    assert mean == pytest.approx(((0.9 - 0.5) + (1.0 - 0.5)) / 2)
    assert low <= mean <= high
