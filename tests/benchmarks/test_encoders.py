"""The encoders' table: operations against formulas, and rendering from lines as the benchmark yields them."""

import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.encoder_rows import ROWS, Row
from benchmarks.encoder_table import MARKS, write_docs
from benchmarks.encoders import SCAN_OPERATIONS, built, measured_counts, n_flops, published_head, windows

from contracts.encoder_cases import MEMBERS
from eegfm.encoders.femba.mamba import Mamba
from eegfm.encoders.femba.selective_scan import selective_scan

DEFAULT = {"d_model": 64, "n_layers": 3, "head_size": 32, "attention": "full"}


def test_every_member_has_a_row() -> None:
    assert {row.config["name"] for row in ROWS.values()} == set(MEMBERS)
    for row in ROWS.values():
        MEMBERS[row.config["name"]].model_validate(dict(row.config))


def test_operations_of_full_attention_are_counted() -> None:
    row = Row({"name": "patch_transformer", **DEFAULT})
    encoder, batch = built(row, 21, 400), windows(row, 21, 400, 2)
    B, C, N, D, S = 2, 21, 84, 64, 100
    layer = 2 * 12 * N * D**2 + 2 * 2 * N**2 * D
    place = encoder.electrode_embedding
    of_place = sum(2 * C * p.numel() for p in place.parameters() if p.dim() == 2)
    of_places = 3 * 2 * N * D * 2 * D  # queries and keys of places, once for all windows
    assert n_flops(encoder, lambda: encoder(batch)) == B * (3 * layer + 2 * N * S * D) + of_place + of_places


def test_operations_of_the_scan_are_counted_once() -> None:
    B, L, D, S = 2, 12, 8, 5
    x, delta, z = (torch.randn(B, L, D) for _ in range(3))
    b, c = torch.randn(B, L, S), torch.randn(B, L, S)
    block = Mamba(D, d_state=S, d_conv=3, expand=2)
    scanned = (x, delta, -torch.ones(D, S), b, c, torch.ones(D), z, torch.zeros(D))
    assert n_flops(block, lambda: selective_scan(*scanned)) == 0
    inner, rank = 2 * D, 1
    linear = 2 * L * (D * 2 * inner + inner * (rank + 2 * S) + rank * inner + inner * D)
    convolution = 2 * (L + 2) * inner * 3
    expected = B * (linear + convolution + SCAN_OPERATIONS * L * inner * S)
    assert n_flops(block, lambda: block(x)) == expected


def test_counts_of_a_small_encoder(tmp_path: Path) -> None:
    found = measured_counts(ROWS["conv"], tmp_path)
    assert found["flops_129"] > 5 * found["flops_21"] > 0
    assert found["flops_21_with_head"] - found["flops_21"] == 2 * 2 * built(ROWS["conv"], 21, 1000).d_model
    luna = measured_counts(ROWS["luna large"], tmp_path)
    assert (luna["n_parameters"] + luna["n_parameters_published_head"]) / 1e6 == pytest.approx(43.1, abs=0.05)
    with pytest.raises(ValueError, match="conv"):
        published_head(built(ROWS["conv"], 21, 1000))


def lines() -> list[dict]:
    count = {"n_parameters": 6_416_640, "n_parameters_published_window": 6_400_000}
    count |= {"n_parameters_published_head": 1_000_000, "flops_21": 2_682_839_040, "flops_129": 17_050_951_680}
    count |= {"flops_21_with_head": 2_682_841_040, "flops_published_window": 1_280_000_000}
    count |= {"flops_published_window_with_head": 1_369_000_000}
    cost = {"peak_mb": 240.4, "forward_windows_per_s": 123.4, "step_windows_per_s": 4.567}
    found = [{"case": f"count {name}", **count} for name in ROWS if "braindecode" not in name]
    found += [{"case": f"cost {name}", **cost} for name, row in ROWS.items() if not row.is_counted_only]
    return [*found, {"case": "count braindecode EEGConformer", "skipped": "it does not load"}]


def test_the_tables_replace_what_stood_between_the_marks(tmp_path: Path) -> None:
    content = {"machine": {"cpu": "a processor", "commit": "abc+", "torch": "2.13.0"}, "lines": lines()}
    (tmp_path / "r.json").write_text(json.dumps(content))
    page = tmp_path / "page.md"
    page.write_text(f"before\n{MARKS[0]}\nold\n{MARKS[1]}\nafter\n")
    for _ in range(2):
        write_docs(tmp_path / "r.json", page)
    text = page.read_text()
    assert (text.startswith("before\n"), text.endswith("\nafter\n"), "old" in text) == (True, True, False)
    assert "| `patch_transformer small` | 100 | 6.42 | 2.68 | 17.1 | 2 | 240 | 123 | 4.57 |" in text
    femba = "| 6.4 | 7.4 | 7.8 | 1.28 | 1.37 | 1.31 | 53 | arXiv 2502.06438 |"
    assert f"| `femba tiny` | 22 ch x 5 s, 256 Hz {femba}" in text
    assert "`braindecode EEGConformer` was not run: it does not load." in text
    assert "a processor, torch 2.13.0, commit abc+." in text
