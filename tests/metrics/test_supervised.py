"""Metrics of an epoch equal scikit-learn's, whatever the batches; two ranks together have those of one process."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from answered_windows import TARGETS, random_windows, sklearn_scores
from eegfm.errors import TrainingError
from eegfm.metrics.names import metric_names
from eegfm.metrics.supervised import SupervisedMetrics
from eegfm.targets import TargetSpec
from process_groups import FORK_TWO_RANKS
from warm_process import WarmProcess

N_CASES = 200 if os.environ.get("EEGFM_METRICS") == "full" else 10

TWO_RANKS = """
import os, pickle, sys
from pathlib import Path
import numpy as np, torch
import torch.distributed as dist
from eegfm.metrics.supervised import SupervisedMetrics

def meet(rank):
    folder = Path(sys.argv[1])
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    for target, said, truths, shares, expected in pickle.loads((folder / "cases").read_bytes()):
        metrics = SupervisedMetrics(target)
        for p, y in zip(torch.tensor(said[shares[rank]]).split(7), torch.tensor(truths[shares[rank]]).split(7)):
            metrics.update(p, y)
        for _ in range(2):  # the windows of others are not kept
            found = metrics.compute()
            assert found.keys() == expected.keys()
            for name in found:
                np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-12, err_msg=name)
"""
SHARES = (slice(0, 5), slice(5, 41)), (slice(0, 0), slice(0, 41)), (slice(0, 41), slice(0, 0)), (slice(0, 0),) * 2
"""Windows of the two ranks: uneven ones, and none."""


def scores_of(target: TargetSpec, said: np.ndarray, truths: np.ndarray, sizes: list[int]) -> dict[str, float]:
    metrics = SupervisedMetrics(target)
    for p, y in zip(torch.tensor(said).split(sizes), torch.tensor(truths).split(sizes), strict=True):
        metrics.update(p, y)
    return metrics.compute()


@pytest.mark.parametrize("kind", TARGETS)
def test_they_equal_those_of_scikit_learn(kind: str) -> None:
    """With ties, missing classes, unknown answers, batches of one and an uneven last batch."""
    target = TARGETS[kind]
    for seed in range(N_CASES):
        said, truths = random_windows(target, seed)
        n, size = len(said), 1 + seed % 7
        found = scores_of(target, said, truths, [*[size] * (n // size), *([n % size] if n % size else [])])
        expected = sklearn_scores(target, said, truths)
        assert tuple(found) == metric_names(target)
        assert found.keys() == expected.keys()
        for name, value in found.items():
            assert value == pytest.approx(expected[name], abs=1e-6, rel=1e-6, nan_ok=True), f"{name}, seed {seed}"


def test_two_ranks_with_uneven_shares_have_the_metrics_of_one_process(warm: WarmProcess, tmp_path: Path) -> None:
    cases = []
    for target in TARGETS.values():
        for seed, shares in enumerate(SHARES):
            said, truths = random_windows(target, seed, 41)
            rows = np.concatenate([np.arange(41)[share] for share in shares])
            cases.append((target, said, truths, shares, scores_of(target, said[rows], truths[rows], [len(rows)])))
    (tmp_path / "cases").write_bytes(pickle.dumps(cases))
    done = warm.run(TWO_RANKS + FORK_TWO_RANKS, str(tmp_path), folder=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", TARGETS)
def test_without_an_answer_every_score_is_nan(kind: str) -> None:
    metrics = SupervisedMetrics(TARGETS[kind])
    found = metrics.compute()
    assert all(np.isnan(value) for name, value in found.items() if name != "n_left_out")
    said, truths = random_windows(TARGETS[kind], 3, 9)
    unknown = np.full_like(truths, np.nan if truths.dtype == np.float32 else -1)
    metrics.update(torch.tensor(said), torch.tensor(unknown))
    assert metrics.compute() == pytest.approx(found, nan_ok=True)


def test_what_is_not_defined_is_nan_and_not_zero() -> None:
    binary = scores_of(TARGETS["binary"], np.float32([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 0]), [2])
    undefined = {"auroc", "auprc", "cohen_kappa"}
    assert {name for name, value in binary.items() if np.isnan(value)} == undefined
    assert (binary["balanced_accuracy"], binary["specificity"], binary["n_left_out"]) == (1.0, 1.0, 1.0)
    numbers = scores_of(TARGETS["regression"], np.float32([[1], [2]]), np.float32([[0.1], [0.1]]), [1, 1])
    assert {name for name, value in numbers.items() if np.isnan(value)} == {"r2", "pearson", "nrmse"}
    constant = scores_of(TARGETS["regression"], np.float32([[0.1]] * 3), np.float32([[1], [2], [4]]), [3])
    assert {name for name, value in constant.items() if np.isnan(value)} == {"pearson"}


def test_a_constant_prediction_of_one_output_is_not_left_out_of_the_mean() -> None:
    """A prediction must not leave out what it fails at."""
    said, truths = random_windows(TARGETS["regressions"], 1, 20)
    said[:, 1] = 0.3
    assert np.isnan(scores_of(TARGETS["regressions"], said, truths, [20])["pearson"])
    truths[:, 1] = 5
    assert scores_of(TARGETS["regressions"], said, truths, [20])["pearson"] == pytest.approx(
        sklearn_scores(TARGETS["regressions"], said[:, ::2], truths[:, ::2])["pearson"]
    )


def test_reset_forgets() -> None:
    target = TARGETS["multiclass"]
    metrics = SupervisedMetrics(target)
    metrics.update(*map(torch.tensor, random_windows(target, 1, 30)))
    metrics.compute()
    metrics.reset()
    said, truths = random_windows(target, 2, 30)
    metrics.update(torch.tensor(said), torch.tensor(truths))
    assert metrics.compute() == scores_of(target, said, truths, [30])


def test_numbers_far_from_zero_lose_no_digits() -> None:
    rng = np.random.default_rng(0)
    truths = (2.0**20 + rng.integers(0, 9, (50, 1))).astype(np.float32)
    said = truths + rng.integers(-2, 3, (50, 1)).astype(np.float32)
    found, expected = (
        f(TARGETS["regression"], said, truths, *a) for f, a in ((scores_of, [[50]]), (sklearn_scores, []))
    )
    assert found == pytest.approx(expected, abs=1e-9)


def test_bfloat16_and_gradients_are_taken() -> None:
    target = TARGETS["binary"]
    said, truths = map(torch.tensor, random_windows(target, 1, 30))
    metrics = SupervisedMetrics(target)
    metrics.update(said.bfloat16().requires_grad_(), truths.int())
    rounded = said.bfloat16().float().numpy()
    expected = sklearn_scores(target, rounded, truths.numpy())
    assert metrics.compute()["auroc"] == pytest.approx(expected["auroc"], abs=1e-6)
    assert metrics.state_dict() == {}


def test_batches_may_be_written_over() -> None:
    target = TARGETS["binary"]
    said, truths = map(torch.tensor, random_windows(target, 1, 30))
    expected = scores_of(target, said.numpy(), truths.numpy(), [30])
    metrics = SupervisedMetrics(target)
    metrics.update(said, truths)
    said.zero_()
    truths.zero_()
    assert metrics.compute() == expected


def test_wrong_shapes_logits_and_diverged_predictions_are_refused() -> None:
    metrics = SupervisedMetrics(TARGETS["binary"])
    with pytest.raises(AssertionError, match="expected"):
        metrics.update(torch.zeros(3, 1), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(AssertionError, match="expected"):
        metrics.update(torch.zeros(3, 2), torch.zeros(3, 1, dtype=torch.int64))
    metrics.update(torch.tensor([[-3.0, 4.0]]), torch.tensor([1]))
    with pytest.raises(AssertionError, match="logits"):
        metrics.compute()
    metrics.reset()
    metrics.update(torch.tensor([[0.5, 0.5], [torch.nan, 0.5]]), torch.tensor([1, 0]))
    with pytest.raises(TrainingError, match="1 of 2 windows have predictions that are not finite"):
        metrics.compute()
    metrics.reset()
    metrics.update(torch.tensor([[torch.nan, 0.5], [0.1, 0.9]]), torch.tensor([-1, 1]))
    assert metrics.compute()["accuracy"] == 1.0
