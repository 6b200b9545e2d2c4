"""Names of the metrics of each kind of target, and which of them are better the higher they are. No torch here."""

from typing import Final

from eegfm.targets import TargetSpec

N_LEFT_OUT: Final = "n_left_out"
"""A count, not a score: classes or outputs whose answers allow no area under a curve, or no share of variance."""

CLASS_METRICS: Final = (
    *("accuracy", "balanced_accuracy", "precision", "recall", "f1"),
    *("precision_weighted", "recall_weighted", "f1_weighted", "cohen_kappa"),
    *("auroc", "auprc", "specificity", "brier", "ece"),
)
"""Metrics of classes; ``eegfm.metrics.scoring`` defines them."""

NUMBER_METRICS: Final = ("mse", "mae", "rmse", "r2", "pearson", "nrmse")
"""Metrics of numbers."""

_LOWER_IS_BETTER = {"loss", "brier", "ece", "mse", "mae", "rmse", "nrmse", N_LEFT_OUT}


def metric_names(target: TargetSpec) -> tuple[str, ...]:
    """Return the names of all values that ``SupervisedMetrics`` computes of a target, ``n_left_out`` last."""
    return (*score_names(target), N_LEFT_OUT)


def score_names(target: TargetSpec) -> tuple[str, ...]:
    """Return the names of the metrics that are scores, which have intervals and can be compared."""
    assert target.kind != "unlabelled", "nothing is asked of these windows"
    return NUMBER_METRICS if target.kind == "regression" else CLASS_METRICS


def primary_metric(target: TargetSpec) -> str:
    """Return the metric that results of a target are compared by.

    It is balanced accuracy for classes and R2 for numbers. For multilabel targets it is AUROC: most of their outputs
    are rare, so that few probabilities pass one half, and balanced accuracy then says little.
    """
    return {"regression": "r2", "multilabel": "auroc"}.get(target.kind, "balanced_accuracy")


def per_person_metric(target: TargetSpec) -> str:
    """Return the metric that is defined for one person, whose answers may all be equal."""
    return "mae" if target.kind == "regression" else "balanced_accuracy"


def higher_is_better(name: str) -> bool:
    """Return whether a higher value of a metric, or of ``loss``, is the better one."""
    assert name in (*CLASS_METRICS, *NUMBER_METRICS, N_LEFT_OUT, "loss"), f"{name} is no metric"
    return name not in _LOWER_IS_BETTER
