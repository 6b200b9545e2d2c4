"""Describe what is asked of a window: kind of the answer, classes, outputs. No torch and no tables here.

Shapes of what a model says of W windows (``probabilities``), and of the true answers (``truths``):

=============  ==================  ============  ==================================================
kind           probabilities       logits        truths
=============  ==================  ============  ==================================================
binary         (W, 2)              (W, 2)        (W,) int64 number of the class, -1 for unknown
multiclass     (W, C)              (W, C)        (W,) int64 number of the class, -1 for unknown
multilabel     (W, K)              (W, K)        (W, K) float32 0 or 1, NaN for unknown
multioutput    (W, K, C)           (W, K, C)     (W, K) int64 number of the class, -1 for unknown
regression     (W, K) the numbers  (W, K)        (W, K) float32 the numbers, NaN for unknown
=============  ==================  ============  ==================================================

Logits of classes go through a softmax over the last axis, those of ``multilabel`` through a sigmoid. Classes keep the
order of ``TargetSpec.classes``; the second of two classes is the positive one.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

Kind = Literal["unlabelled", "binary", "multiclass", "multilabel", "multioutput", "regression"]


class TargetSpec(NamedTuple):
    """Answer that is asked of a window.

    Args:
        kind: ``binary`` and ``multiclass`` fill the column ``label``, ``regression`` fills ``target``; ``multilabel``
            (K yes-or-no outputs) and ``multioutput`` (K outputs of one class each) fill ``targets``. Missing answers
            are NaN.
        classes: The classes; those of each output for ``multioutput``, by number in this order.
        outputs: Names of the K outputs of ``multilabel`` and ``multioutput``.
        unit: Of a regression's target.
    """

    kind: Kind
    classes: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    unit: str = ""

    @classmethod
    def of_classes(cls, classes: Iterable[str]) -> "TargetSpec":
        """One of two classes, or of more."""
        names = tuple(classes)
        return cls("binary" if len(names) == 2 else "multiclass", names)

    @classmethod
    def of_told(cls, told: Mapping[str, Any]) -> "TargetSpec":
        """The target whose fields a protocol tells, also after JSON has made lists of tuples."""
        return cls(told["kind"], tuple(told["classes"]), tuple(told["outputs"]), told["unit"])

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the logits of one window; see the module."""
        return {
            "binary": (len(self.classes),),
            "multiclass": (len(self.classes),),
            "multilabel": (len(self.outputs),),
            "multioutput": (len(self.outputs), len(self.classes)),
            "regression": (max(len(self.outputs), 1),),
        }[self.kind]
