"""The supervised objective: its loss and its answers by hand, the unit of numbers, statistics of tokens."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit, log_softmax, softmax

from answered_store import SMALL, TARGETS, answered_task, start_of, tuning
from eegfm.batch import StoredBatch
from eegfm.encoders.base import Encoded
from eegfm.errors import ConfigError
from eegfm.jobs.train.finetuning import FinetuningTask, finetuning
from eegfm.nn.context import Context
from eegfm.objectives.supervised.model import Supervised, truths_of
from eegfm.store.reader import SignalStore
from eegfm.training.supervised.module import SupervisedModule

SD, MEAN = 5.0, 40.0


@pytest.fixture(scope="module")
def tasks(answered: SignalStore) -> dict[str, FinetuningTask]:
    return {kind: answered_task(answered, kind) for kind in TARGETS}


def built(task: FinetuningTask, **changes: Any) -> tuple[SupervisedModule, list[StoredBatch]]:
    """A module in evaluation mode, and all its training windows."""
    module, data = finetuning(tuning(batch_size=12, **changes), task, start=start_of())
    batches = [batch for step in data.train_dataloader() for batch in step.batches]
    assert sum(len(batch["samples"]) for batch in batches) == 36
    return module.eval(), batches


def logits_by_hand(objective: Supervised, batch: StoredBatch) -> np.ndarray:
    """Mean over tokens of their standardised vectors, through the weights of an MLP, in float64."""
    with torch.no_grad():
        vectors = objective.backbone(batch).vectors.double().numpy()
    tokens = (vectors - objective.token_mean.double().numpy()) / objective.token_sd.double().numpy()
    first, last = (part for part in objective.head.modules() if isinstance(part, torch.nn.Linear))
    hidden = tokens.mean(axis=1) @ first.weight.double().detach().numpy().T + first.bias.double().detach().numpy()
    hidden = torch.nn.functional.gelu(torch.from_numpy(hidden)).numpy()
    flat = hidden @ last.weight.double().detach().numpy().T + last.bias.double().detach().numpy()
    return flat.reshape(-1, *objective.target.output_shape)


def loss_by_hand(kind: str, logits: np.ndarray, truths: np.ndarray, objective: Supervised) -> float:
    if kind in ("regression", "regressions"):
        scaled = (truths - objective.mean.numpy()) / objective.sd.numpy()
        return float(np.mean((logits - scaled) ** 2))
    if kind == "multilabel":
        yes = expit(logits)
        return float(-np.mean(truths * np.log(yes) + (1 - truths) * np.log(1 - yes)))
    return float(-np.take_along_axis(log_softmax(logits, axis=-1), truths[..., None], axis=-1).mean())


@pytest.mark.parametrize("kind", TARGETS)
def test_loss_and_answers_equal_those_by_hand(kind: str, tasks: dict[str, FinetuningTask]) -> None:
    module, batches = built(tasks[kind])
    objective, batch = module.supervised, batches[0]
    logits, truths = logits_by_hand(objective, batch), truths_of(batch["targets"], objective.target)
    with torch.no_grad():
        output = objective(batch, Context())
    said = objective.said
    assert said is not None
    assert float(output.loss) == pytest.approx(loss_by_hand(kind, logits, truths.numpy(), objective), rel=1e-5)
    assert float(output.logs["loss"]) == float(output.loss)
    if objective.target.kind == "regression":
        expected = logits * objective.sd.numpy() + objective.mean.numpy()
    else:
        expected = expit(logits) if kind == "multilabel" else softmax(logits, axis=-1)
    np.testing.assert_allclose(said.numpy(), expected, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(module(batch), said)
        torch.testing.assert_close(objective.logits(batch), torch.from_numpy(logits).float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["regression", "regressions"])
def test_numbers_are_standardised_by_those_of_the_training_windows(kind: str, tasks: dict[str, FinetuningTask]) -> None:
    module, batches = built(tasks[kind])
    truths = torch.cat([truths_of(batch["targets"], module.supervised.target) for batch in batches]).numpy()
    np.testing.assert_allclose(module.supervised.mean.numpy(), truths.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(module.supervised.sd.numpy(), truths.std(axis=0), rtol=1e-5)


@pytest.mark.parametrize("encoder", [SMALL, SMALL.model_copy(update={"attention": "full"})])
def test_statistics_of_tokens_are_those_of_the_first_windows(encoder: Any, tasks: dict[str, FinetuningTask]) -> None:
    module, data = finetuning(tuning(batch_size=36), tasks["binary"], start=start_of(encoder))
    objective = module.eval().supervised
    batches = [batch for step in data.train_dataloader() for batch in step.batches]
    with torch.no_grad():
        vectors = np.concatenate(
            [objective.backbone(batch).vectors.double().flatten(0, 1).numpy() for batch in batches]
        )
    np.testing.assert_allclose(objective.token_mean.numpy(), vectors.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(objective.token_sd.numpy(), vectors.std(axis=0), rtol=1e-4, atol=1e-5)
    names = {"objective.token_mean", "objective.token_sd"}
    assert names <= module.checkpoint().tensors.keys(), "a head holds for tokens that were standardised like this"


def test_a_token_that_is_constant_is_not_blown_up(tasks: dict[str, FinetuningTask]) -> None:
    module, batches = built(tasks["binary"])
    objective = module.supervised
    plain = objective.backbone.forward

    def constant(batch: StoredBatch) -> Encoded:
        encoded = plain(batch)
        return encoded._replace(vectors=encoded.vectors.clone().index_fill_(2, torch.tensor([0]), 3.0))

    objective.backbone.forward = constant  # type: ignore[method-assign]
    objective.setup(batches[:2], Context())
    assert float(objective.token_mean[0]) == pytest.approx(3.0)
    assert float(objective.token_sd[0]) == 1.0
    assert not objective.training, "setup leaves the mode as it was"


def test_rows_that_are_only_padding_never_count(tasks: dict[str, FinetuningTask]) -> None:
    """Neither in the statistics nor in an answer."""
    module, batches = built(tasks["binary"])
    objective = module.supervised
    plain = objective.backbone.forward

    def padded(fill: float) -> Any:
        def forward(batch: StoredBatch) -> Encoded:
            encoded = plain(batch)
            B, _, D = encoded.vectors.shape
            mask = encoded.features.mask
            n_patches = encoded.vectors.shape[1] // mask.shape[1]
            vectors = torch.cat([encoded.vectors, torch.full((B, n_patches, D), fill)], dim=1)
            more = torch.cat([mask, torch.zeros(B, 1, dtype=torch.bool)], dim=1)
            values = torch.cat([encoded.features.values, torch.full_like(encoded.features.values[:, :1], fill)], dim=1)
            return encoded._replace(vectors=vectors, features=replace(encoded.features, values=values, mask=more))

        return forward

    expected_mean, expected_sd = objective.token_mean.clone(), objective.token_sd.clone()
    objective.setup(batches, Context())
    with torch.no_grad():
        expected = objective.answer(plain(batches[0]))
    torch.testing.assert_close(objective.token_mean, expected_mean)
    for fill in (0.0, 1e4):
        objective.backbone.forward = padded(fill)
        objective.setup(batches, Context())
        torch.testing.assert_close(objective.token_mean, expected_mean)
        torch.testing.assert_close(objective.token_sd, expected_sd)
        with torch.no_grad():
            torch.testing.assert_close(objective.answer(objective.backbone(batches[0])), expected)


def test_answers_that_are_unknown_add_nothing_to_the_loss(tasks: dict[str, FinetuningTask]) -> None:
    for kind, name, unknown in (
        ("binary", "label", -1),
        ("multilabel", "targets", np.nan),
        ("regression", "target", np.nan),
    ):
        module, batches = built(tasks[kind])
        batch = copy.deepcopy(batches[0])
        batch["targets"][name][:5] = unknown
        known = {**batch, "samples": batch["samples"][5:], "scales_uv": batch["scales_uv"][5:],
                 "recording": batch["recording"][5:], "targets": {name: batch["targets"][name][5:]}}  # fmt: skip
        with torch.no_grad():
            found, expected = (float(module.supervised(one, Context()).loss) for one in (batch, known))
        assert found == pytest.approx(expected, rel=1e-5), kind


def test_the_seed_decides_the_head_and_nothing_else_does(tasks: dict[str, FinetuningTask]) -> None:
    heads = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(heads))
        module, _ = finetuning(tuning(), tasks["binary"], start=start_of(), seed=seed)
        heads.append(torch.cat([p.flatten() for p in module.get_task_head().parameters()]))
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_what_does_not_fit_the_answer_is_refused(tasks: dict[str, FinetuningTask]) -> None:
    with pytest.raises(ConfigError, match="loss 'mse' does not fit a binary answer"):
        finetuning(tuning(loss={"name": "mse"}), tasks["binary"], start=start_of())


def test_class_weights_of_the_training_windows(tasks: dict[str, FinetuningTask]) -> None:
    module, batches = built(tasks["binary"], class_weights="balanced")
    labels = torch.cat([batch["targets"]["label"] for batch in batches]).numpy()
    counts = np.bincount(labels)
    weights = module.supervised.class_weights
    assert weights is not None
    np.testing.assert_allclose(weights.numpy() * counts, (weights.numpy() * counts)[0], rtol=1e-5)
    logits, truths = logits_by_hand(module.supervised, batches[0]), batches[0]["targets"]["label"].numpy()
    each = -np.take_along_axis(log_softmax(logits, axis=-1), truths[:, None], axis=-1)[:, 0]
    with torch.no_grad():
        found = float(module.supervised(batches[0], Context()).loss)
    assert found == pytest.approx(float((each * weights.numpy()[truths]).mean()), rel=1e-5)
