"""The yes-or-no questions that ranking curves of a target are drawn for."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eegfm.metrics.scoring.answered import Output
from eegfm.targets import TargetSpec

Floats = NDArray[np.float64]
Rows = NDArray[np.bool_]


class Question(NamedTuple):
    """Question whether a window is of a class.

    Args:
        name: Name of the class or output.
        asked: Outputs whose windows are pooled, and the number of the class in each.
    """

    name: str
    asked: tuple[tuple[int, int], ...]

    def ranked(self, outputs: tuple[Output, ...]) -> tuple[Floats, Rows]:
        """Return (n,) probabilities of yes, and (n,) whether the windows are of the class."""
        parts = [(outputs[k].probabilities[:, c], outputs[k].truths == c) for k, c in self.asked]
        scores, positives = (np.concatenate(column) for column in zip(*parts, strict=True))
        return scores, positives


def questions_of(target: TargetSpec) -> list[Question]:
    """Return the questions of a target.

    Binary: the second class. Multiclass: each class against all others. Multilabel: each output. Multioutput: each
    class against all others, with the windows of all outputs pooled.
    """
    if target.kind == "multilabel":
        return [Question(name, ((k, 1),)) for k, name in enumerate(target.outputs)]
    n_outputs = len(target.outputs) if target.kind == "multioutput" else 1
    first = 1 if target.kind == "binary" else 0
    return [
        Question(name, tuple((k, c) for k in range(n_outputs))) for c, name in enumerate(target.classes) if c >= first
    ]
