"""Write the tables of encoders from a benchmark's results into the documentation.

python -m benchmarks.encoder_table benchmarks/results/encoders_DATE.json docs/encoders.md
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.encoder_rows import ROWS, Row
from benchmarks.pages import write_between

MARKS = ("<!-- tables: python -m benchmarks run encoders -->", "<!-- end of tables -->")
_NOT_STATED = "–"


def write_docs(result: Path, page: Path) -> None:
    """Put the tables of a result between the marks of a page."""
    write_between(page, MARKS, rendered(json.loads(result.read_text(encoding="utf-8"))))


def rendered(content: Mapping[str, Any]) -> str:
    """Both tables, and the facts of the machine."""
    found = {line["case"]: line for line in content["lines"]}
    machine = content["machine"]
    facts = (
        f"Windows of 10 s, one window per forward pass counted; memory and speed: batches of 8 windows of 21 channels, "
        f"float32, CPU time of one thread, medians. {machine['cpu']}, torch {machine['torch']}, "
        f"commit {machine['commit']}."
    )
    skipped = [f"`{name}` was not run: {found[f'count {name}']['skipped']}." for name in ROWS if _skips(found, name)]
    return "\n\n".join((cost_table(found), "\n".join((facts, *skipped)), published_table(found)))


def cost_table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """What was measured: one row per encoder that was run."""
    heads = ["encoder", "Hz", "weights, M", "GFLOP, 21 ch", "GFLOP, 129 ch", "+ linear head, kFLOP", "peak MB"]
    heads += ["forward, windows/s", "training step, windows/s"]
    rows = []
    for name, row in ROWS.items():
        if row.is_counted_only or _skips(found, name):
            continue
        counted, spent = found[f"count {name}"], found[f"cost {name}"]
        rows.append(
            [
                f"`{name}`",
                f"{row.rate_hz:.0f}",
                f"{counted['n_parameters'] / 1e6:.3g}",
                *(_significant(counted[f"flops_{n}"] / 1e9) for n in (21, 129)),
                f"{(counted['flops_21_with_head'] - counted['flops_21']) / 1e3:.2g}",
                f"{spent['peak_mb']:.0f}",
                *(_significant(spent[f"{what}_windows_per_s"]) for what in ("forward", "step")),
            ]
        )
    return _markdown(heads, rows)


def published_table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Beside what is published: one row per encoder that something is published about, and per larger size."""
    heads = ["encoder", "window", "weights, M", "with published head", "published", "GFLOP", "with published head"]
    heads += ["published", "published memory, MB", "source"]
    rows = [
        [f"`{name}`", _window(row), *_weights(row, found[f"count {name}"]), *_operations(row, found[f"count {name}"])]
        for name, row in ROWS.items()
        if row.published is not None or row.is_counted_only
    ]
    return _markdown(heads, rows)


def _window(row: Row) -> str:
    n_channels, n_samples = row.published_window or (21, round(10 * row.rate_hz))
    return f"{n_channels} ch x {n_samples / row.rate_hz:g} s, {row.rate_hz:.0f} Hz"


def _weights(row: Row, counted: Mapping[str, Any]) -> list[str]:
    alone = counted.get("n_parameters_published_window", counted["n_parameters"])
    head = counted.get("n_parameters_published_head")
    published = _NOT_STATED if row.published is None else f"{row.published.parameters:g}"
    return [f"{alone / 1e6:.1f}", _NOT_STATED if head is None else f"{(alone + head) / 1e6:.1f}", published]


def _operations(row: Row, counted: Mapping[str, Any]) -> list[str]:
    measured = [counted.get(f"flops_published_window{part}") for part in ("", "_with_head")]
    stated = (None, None, "") if row.published is None else (*row.published[2:], row.published.source)
    shown = [_NOT_STATED if value is None else f"{value / 1e9:.2f}" for value in measured]
    return [*shown, *(_NOT_STATED if value is None else f"{value:g}" for value in stated[:2]), stated[2]]


def _skips(found: Mapping[str, Mapping[str, Any]], name: str) -> bool:
    return "skipped" in found[f"count {name}"]


def _significant(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    write_docs(Path(sys.argv[1]), Path(sys.argv[2]))
