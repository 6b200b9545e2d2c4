"""Tables and protocols as HTML."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from eegfm.printable import printable


def protocol_table(values: Mapping[str, Any]) -> str:
    """Return plain values by key; those that hold others are left out."""
    plain = {k: v for k, v in values.items() if not isinstance(v, dict)}
    return html_table(pd.DataFrame({"key": list(plain), "value": [_plain(v) for v in plain.values()]}))


def protocols_table(by_task: Mapping[str, Mapping[str, Any]]) -> str:
    """Return plain values by key, one column per task."""
    keys = dict.fromkeys(k for values in by_task.values() for k, v in values.items() if not isinstance(v, dict))
    columns = {task: [_plain(values[k]) if k in values else "" for k in keys] for task, values in by_task.items()}
    return html_table(pd.DataFrame({"key": list(keys), **columns}))


def _plain(value: Any) -> str:
    """Numbers with few digits, lists without brackets."""
    if isinstance(value, list | tuple):
        return ", ".join(_plain(v) for v in value) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def html_table(table: pd.DataFrame) -> str:
    """Return a table, with its text escaped and printable."""
    shown = table.map(lambda value: printable(value) if isinstance(value, str) else value)
    return str(shown.to_html(index=False, border=0, na_rep="", escape=True))
