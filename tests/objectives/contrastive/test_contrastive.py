"""What the contrast of classes asks, and what its logs are of: windows that a pairing lets it compare."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from eegfm.batch import Pairs
from eegfm.nn.context import Context
from eegfm.objectives.config import ContrastiveConfig
from latent_windows import build, windows

LABELS = [0, 0, 1, 1, 0, 1, 0, -1, 1, 0, 0, 1]
BLOCK = [0, 0, 0, 1, 1, 1] * 2
ROWS = [0, 300, 900, 0, 500, 700, 1000, 2000, 1200, 3000, 4000, 5000]
"""Windows last 400: 0 and 1 of a block share samples, so do 4 and 5, 0 and 3; 2 and 6, 2 and 8."""


def output(labels: list[int], is_blocked: bool = True) -> tuple[Any, Tensor]:
    objective = build(
        ContrastiveConfig(positives="label", augment=(), temperature=0.3, projection={"hidden": 8, "out": 4})
    )
    objective.projection = nn.Identity()
    place = torch.arange(6).repeat(2)
    pairs = Pairs(place, torch.zeros_like(place), 0, torch.tensor(BLOCK) if is_blocked else None, "within_recording")
    batch: Any = windows(12)
    batch |= {"pairs": pairs, "targets": {"label": torch.tensor(labels)}, "first_row": torch.tensor(ROWS)}
    batch["samples"] = batch["signal"].transpose(1, 2)
    with torch.no_grad():
        return objective(batch, Context()), objective.embed(batch, Context()).projected.double()


@pytest.mark.parametrize("is_blocked", [True, False])
def test_the_loss_and_its_logs_heed_blocks_and_shared_samples(is_blocked: bool) -> None:
    found, projected = output(LABELS, is_blocked)
    unit = (projected / projected.norm(dim=1, keepdim=True)).numpy()
    losses, chances, hits = [], [], []
    for i in range(12):
        positives, negatives = [], []
        for j in (j for j in range(12) if j != i and LABELS[i] >= 0 <= LABELS[j]):
            is_partner, shares = i % 6 == j % 6, abs(ROWS[i] - ROWS[j]) < 400
            inside = not is_blocked or BLOCK[i] == BLOCK[j]
            if LABELS[i] == LABELS[j] and (is_partner or (inside and not shares)):
                positives.append(float(unit[i] @ unit[j]))
            elif LABELS[i] != LABELS[j] and inside and not shares and not is_partner:
                negatives.append(float(unit[i] @ unit[j]))
        if positives and negatives:
            total = sum(math.exp(s / 0.3) for s in positives + negatives)
            losses.append(-sum(s / 0.3 - math.log(total) for s in positives) / len(positives))
            chances.append(math.log(len(positives) + len(negatives)))
            hits.append(max(positives) > max(negatives))
    assert 0 < sum(hits) < len(hits)
    assert float(found.loss) == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert float(found.logs["chance_loss"]) == pytest.approx(sum(chances) / len(chances), rel=1e-5)
    assert float(found.logs["top1_within_recording"]) == pytest.approx(sum(hits) / len(hits))
    assert float(found.logs["without_negatives_ratio"]) == pytest.approx(1 - len(hits) / 12)
