"""The contrastive objective against loops in float64, and what gets a gradient."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eegfm.batch import WindowBatch
from eegfm.encoders.base import Encoded, Tokens
from eegfm.encoders.config import EegnetConfig
from eegfm.errors import ConfigError
from eegfm.nn.context import Context
from eegfm.objectives.base_config import EncoderFacts
from eegfm.objectives.config import ContrastiveConfig
from latent_windows import N_CHANNELS, N_PATCHES, build, given_features, paired

N = 10
"""Windows of a batch."""
GROUP = torch.tensor([0, 0, 1, 2, 3] * 2)
PLACE = torch.tensor([0, 3, 9, 9, 9, 0, 3, 9, 9, 9])
BLOCK = torch.tensor([0, 0, 0, 1, 1] * 2)


def contrastive(**changes: Any) -> Any:
    config = {"augment": (), "projection": {"sites": 0, "hidden": 12, "out": 6}, "temperature": 0.2, **changes}
    return build(ContrastiveConfig.model_validate(config))


def of_features(batch: WindowBatch, values: Tensor | None = None, **changes: Any) -> tuple[Any, Tensor, Any]:
    """An objective that compares given features as they are, those features, and its output."""
    objective = contrastive(**changes)
    objective.projection = nn.Identity()
    features = torch.randn(N, 6, generator=torch.Generator().manual_seed(2)) if values is None else values
    features.requires_grad_()
    given_features(objective, features)
    return objective, features, objective(batch, Context())


def similarities(features: Tensor) -> NDArray[np.float64]:
    vectors = features.detach().double().numpy()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found: NDArray[np.float64] = unit @ unit.T
    return found


def info_nce(features: Tensor, is_negative: Any, temperature: float = 0.2) -> float:
    """Mean over the windows that have a negative of -log of the partner's share."""
    cosine, losses = similarities(features), []
    for i in range(N):
        partner = (i + N // 2) % N
        negatives = [j for j in range(N) if j not in (i, partner) and is_negative(i, j)]
        others = sum(math.exp(cosine[i, j] / temperature) for j in negatives)
        share = math.exp(cosine[i, partner] / temperature)
        losses += [-math.log(share / (share + others))] if negatives else []
    return float(np.mean(losses))


def test_a_window_is_told_from_all_that_may_be_its_negatives() -> None:
    _, features, output = of_features(paired(N // 2))
    assert output.loss.item() == pytest.approx(info_nce(features, lambda i, j: True), rel=1e-5)
    assert float(output.logs["chance_loss"]) == pytest.approx(math.log(N - 1), rel=1e-6)
    assert float(output.logs["without_negatives_ratio"]) == 0


@pytest.mark.parametrize("has_blocks", [False, True])
def test_false_negatives_and_other_blocks_are_no_negatives(has_blocks: bool) -> None:
    batch = paired(N // 2, group=GROUP, place=PLACE, reach=2, block=BLOCK if has_blocks else None)
    _, features, output = of_features(batch)

    def is_negative(i: int, j: int) -> bool:
        is_alike = GROUP[i] == GROUP[j] and abs(int(PLACE[i]) - int(PLACE[j])) <= 2
        return not is_alike and (not has_blocks or bool(BLOCK[i] == BLOCK[j]))

    assert is_negative(0, 1), "they are of one group, and far apart"
    assert output.loss.item() == pytest.approx(info_nce(features, is_negative), rel=1e-5)
    near = paired(N // 2, group=GROUP, place=PLACE, reach=3, block=BLOCK if has_blocks else None)
    assert of_features(near)[2].loss.item() != pytest.approx(output.loss.item(), rel=1e-3)


def test_without_negatives_nothing_is_learned() -> None:
    alone = torch.zeros(N, dtype=torch.int64)
    _, features, output = of_features(paired(N // 2, group=alone))
    output.loss.backward()
    assert (output.loss.item(), float(output.logs["without_negatives_ratio"])) == (0, 1)
    assert features.grad is not None
    assert not features.grad.any()


def test_a_constant_encoder_has_the_loss_of_chance_and_finds_nobody() -> None:
    _, features, output = of_features(paired(N // 2), torch.ones(N, 6))
    assert output.loss.item() == pytest.approx(float(output.logs["chance_loss"]), rel=1e-6)
    [top1] = [value for name, value in output.logs.items() if name.startswith("top1")]
    assert float(top1) == 0
    output.loss.backward()
    assert torch.isfinite(features.grad).all()


def test_partners_that_are_alike_are_found() -> None:
    angles = torch.arange(N // 2).repeat(2) * 2 * torch.pi / 5
    *_, output = of_features(paired(N // 2), torch.stack([angles.cos(), angles.sin()], dim=1))
    [top1] = [value for name, value in output.logs.items() if name.startswith("top1")]
    assert float(top1) == 1
    assert output.loss.item() < 0.2 * float(output.logs["chance_loss"])


def test_who_is_found_is_told_in_full_precision() -> None:
    """Windows on a circle, a thousandth apart: bfloat16 tells them neither from the partner nor from each other."""
    angles = 1e-3 * torch.cat([torch.arange(5) * 1.0, torch.arange(5) + 0.1])
    with torch.autocast("cpu", torch.bfloat16):
        *_, output = of_features(paired(N // 2), torch.stack([angles.cos(), angles.sin()], dim=1))
    [top1] = [value for name, value in output.logs.items() if name.startswith("top1")]
    assert float(top1) == 1


def test_every_window_of_the_class_is_a_positive_and_those_of_unknown_class_count_nothing() -> None:
    labels = torch.tensor([0, 1, 2, -1, 0, 0, 1, 2, -1, -1])
    batch = {**paired(N // 2), "targets": {"label": labels}}
    _, features, output = of_features(batch, positives="label")
    cosine, known, losses = similarities(features), [k for k in range(N) if labels[k] >= 0], []
    for i in known:
        shares = {j: math.exp(cosine[i, j] / 0.2) for j in known if j != i}
        same = [j for j in shares if labels[j] == labels[i]]
        losses.append(-np.mean([math.log(shares[j] / sum(shares.values())) for j in same]))
    assert output.loss.item() == pytest.approx(float(np.mean(losses)), rel=1e-5)
    output.loss.backward()
    assert [k for k in range(N) if features.grad[k].any()] == known


def test_a_learned_temperature_begins_as_given_has_the_slope_of_the_loss_and_is_bounded() -> None:
    objective, features, output = of_features(paired(N // 2), learned_temperature=True)
    assert float(output.logs["temperature"]) == pytest.approx(0.2, rel=1e-6)
    assert not output.logs["temperature"].requires_grad
    output.loss.backward()
    # By the logarithm of 1 / temperature.
    higher, lower = (info_nce(features, lambda i, j: True, 0.2 * math.exp(-h)) for h in (1e-4, -1e-4))
    assert float(objective.log_sharpness.grad) == pytest.approx((higher - lower) / 2e-4, rel=1e-3)
    with torch.no_grad():
        objective.log_sharpness.fill_(9.0)
    objective.after_step(Context())
    assert torch.as_tensor(objective.temperature).item() == pytest.approx(0.01, rel=1e-5)
    assert "log_sharpness" not in dict(contrastive().named_parameters())


@pytest.mark.parametrize("ratio", [0.5, 0.3])
def test_the_windows_of_a_pair_are_shown_complementary_patches(ratio: float) -> None:
    objective = contrastive(complementary_ratio=ratio)
    encode, shown = objective.encoder.encode_with_features, []

    def watched(windows: WindowBatch, tokens: Tokens | None = None) -> Encoded:
        assert tokens is not None
        shown.append((tokens.content != objective.hidden_token).any(dim=-1))
        found: Encoded = encode(windows, tokens)
        return found

    objective.encoder.encode_with_features = watched
    for seed in (0, 0, 1):
        objective(paired(6), Context(seed=seed)).loss.backward()
    first, second = shown[0].chunk(2)
    n_tokens = N_CHANNELS * N_PATCHES
    assert first.sum(dim=1).tolist() == [round(ratio * n_tokens)] * 6
    assert (first ^ second).all(), "each patch is shown in one of the two"
    assert len({tuple(row.tolist()) for row in first}) == 6, "every pair draws its own"
    assert shown[1].equal(shown[0])
    assert not shown[2].equal(shown[0])
    assert objective.hidden_token.grad.abs().max() > 0


def test_an_encoder_without_patches_hides_none() -> None:
    config = ContrastiveConfig(complementary_ratio=0.5)
    with pytest.raises(ConfigError, match=r"complementary_ratio 0.5 hides patches, and encoder eegnet has none; leave"):
        config.check_encoder(EncoderFacts.of(EegnetConfig()))


def test_views_of_one_window_differ_only_by_what_is_drawn() -> None:
    """Without augmentations both views are one window; with them, the two of a pair draw on their own."""
    batch = paired(3)
    batch["signal"][3:] = batch["signal"][:3]
    plain, changed = contrastive(), contrastive(augment=[{"name": "gain"}])
    for objective, is_same in ((plain, True), (changed, False)):
        first, second = objective.windows(batch, Context())["signal"].chunk(2)
        assert torch.equal(first, second) is is_same
    assert plain.encodes_untouched
    assert not changed.encodes_untouched
