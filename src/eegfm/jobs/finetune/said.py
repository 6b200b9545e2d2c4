"""Keep what models say of test windows, model by model.

Shapes: T test windows; those of answers stand in ``eegfm.targets``.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.targets import TargetSpec

_COLUMNS = ["corpus", "recording_id", "start", "person", "identity"]


@dataclass(frozen=True)
class TestWindows:
    """Hold the windows of persons that a division tests, in a fixed order.

    Args:
        windows: One row per window.
        truths: (T,) or (T, K) true answers.
    """

    windows: pd.DataFrame
    truths: NDArray[np.generic]


@dataclass
class Said:
    """Keep everything that was said of the test windows of a task.

    Args:
        target: What was asked.
        tests: By division, its test windows.
        by_model: By name of the model, then by initialisation or seed, then by division: probabilities or numbers.
    """

    target: TargetSpec
    tests: dict[str, TestWindows]
    by_model: dict[str, dict[int, dict[str, NDArray[np.float64]]]] = field(default_factory=dict)

    def add(self, model: str, init: int, division: str, said: NDArray[np.floating]) -> None:
        """Keep what a model said."""
        assert len(said) == len(self.tests[division].truths), "every test window has an answer"
        self.by_model.setdefault(model, {}).setdefault(init, {})[division] = np.asarray(said, dtype=np.float64)

    @property
    def windows(self) -> pd.DataFrame:
        """Return all test windows, division by division."""
        return pd.concat([test.windows for test in self.tests.values()], ignore_index=True)

    @property
    def truths(self) -> NDArray[np.generic]:
        """Return the true answers of all test windows."""
        return np.concatenate([test.truths for test in self.tests.values()])

    def runs(self, model: str) -> list[NDArray[np.float64]]:
        """Return what each initialisation of a model said of all test windows."""
        inits = self.by_model[model]
        return [np.concatenate([by_division[name] for name in self.tests]) for _, by_division in sorted(inits.items())]

    def table(self, task: str) -> pd.DataFrame:
        """Return one row per model, initialisation and test window; probabilities and truths as lists of numbers."""
        parts = []
        for model, inits in self.by_model.items():
            for init, by_division in sorted(inits.items()):
                for name, said in by_division.items():
                    test = self.tests[name]
                    rows = test.windows[_COLUMNS].assign(task=task, model=model, init=init, division=name)
                    truths, flat = test.truths.reshape(len(rows), -1), said.reshape(len(rows), -1)
                    parts.append(rows.assign(truth=[*truths.astype(np.float64)], said=[*flat]))
        return pd.concat(parts, ignore_index=True)

    @classmethod
    def of_table(cls, target: TargetSpec, tests: dict[str, TestWindows], table: pd.DataFrame) -> "Said":
        """Read ``table`` again."""
        found = cls(target, tests)
        for (model, init, division), rows in table.groupby(["model", "init", "division"], sort=False):
            said = np.stack([np.asarray(row, dtype=np.float64) for row in rows["said"]])
            found.add(str(model), int(str(init)), str(division), said.reshape(-1, *target.output_shape))
        return found
