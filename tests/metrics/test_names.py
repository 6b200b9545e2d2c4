import pytest

from answered_windows import TARGETS
from eegfm.metrics.names import higher_is_better, metric_names, per_person_metric, primary_metric, score_names


@pytest.mark.parametrize("kind", TARGETS)
def test_chosen_metrics_are_scores_of_their_target(kind: str) -> None:
    target = TARGETS[kind]
    assert {primary_metric(target), per_person_metric(target)} <= set(score_names(target))
    assert set(metric_names(target)) - set(score_names(target)) == {"n_left_out"}


def test_errors_and_losses_are_better_the_lower_they_are() -> None:
    lower = {"loss", "mse", "mae", "rmse", "nrmse", "brier", "ece", "n_left_out"}
    names = {"loss", *metric_names(TARGETS["binary"]), *metric_names(TARGETS["regression"])}
    assert {name for name in names if not higher_is_better(name)} == lower
    with pytest.raises(AssertionError, match="val/r2 is no metric"):
        higher_is_better("val/r2")


def test_primary_metrics() -> None:
    assert [primary_metric(target) for target in TARGETS.values()] == [
        *("balanced_accuracy", "balanced_accuracy", "auroc", "balanced_accuracy", "r2", "r2")
    ]
