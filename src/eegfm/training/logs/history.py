"""History of a training: one row per logged step."""

from collections.abc import Mapping
from typing import Any

import pandas as pd


class History:
    """Values by step, as they come in, and as one table."""

    def __init__(self) -> None:
        self._rows: dict[int, dict[str, float]] = {}

    def record(self, step: int, values: Mapping[str, float]) -> None:
        """Add values to the row of a step, counted in finished optimizer steps."""
        self._rows.setdefault(step, {}).update(values)

    def first(self, name: str) -> float | None:
        """Return the first value of a column; None where there is none."""
        return next((values[name] for _, values in sorted(self._rows.items()) if name in values), None)

    def table(self) -> pd.DataFrame:
        """Return columns step, loss, val_loss, lr and whatever else was recorded; NaN where a step lacks a value."""
        rows = [{"step": step, **values} for step, values in sorted(self._rows.items())]
        first = ["step", "loss", "val_loss", "lr"]
        others = sorted({name for row in rows for name in row} - set(first))
        table = pd.DataFrame(rows, columns=[*first, *others])
        return table.astype(dict.fromkeys([*first[1:], *others], "float64"))

    def state_dict(self) -> dict[str, Any]:
        """Return all rows."""
        return {"rows": {step: dict(values) for step, values in self._rows.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the rows of another history."""
        self._rows = {int(step): dict(values) for step, values in state["rows"].items()}
