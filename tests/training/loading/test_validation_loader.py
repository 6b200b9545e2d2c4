"""A validation shows every chosen window once, whatever the number of ranks."""

import pytest
import torch

from eegfm.training.loading.spread import spread_draws
from eegfm.training.loading.validation_loader import ValidationLoader


def test_validation_shows_every_window_once_and_always_the_same(groups, stores) -> None:
    loader = ValidationLoader(lambda: spread_draws(groups, {"hbn": 5, "tuh": 2}, 100), stores)
    batches = [b for step in loader for b in step.batches]
    assert len(loader) == 5  # nine TUH windows, two at a time
    for corpus, n in (("hbn", 12), ("tuh", 9)):
        seen = torch.cat([b["samples"][:, 0, 0] for b in batches if b["corpus"] == corpus])
        assert len(seen.unique()) == len(seen) == n
    again = [b["samples"] for step in loader for b in step.batches]
    assert all(torch.equal(a["samples"], b) for a, b in zip(batches, again, strict=True))
    measuring = loader.measuring({"tuh": spread_draws(groups, {"hbn": 5, "tuh": 4}, 100)["tuh"]})
    scored, measured = ([step for step in measuring if step.only_measured == only] for only in (False, True))
    assert len(scored) == 5
    assert [(step.number, len(step.batches[0]["samples"])) for step in measured] == [(5, 4), (6, 4), (7, 1)]


@pytest.mark.parametrize("n_ranks", [2, 3, 12])
def test_ranks_share_a_validation_and_all_take_as_many_steps(groups, stores, n_ranks: int) -> None:
    counts = {"hbn": 5, "tuh": 2}
    whole = ValidationLoader(lambda: spread_draws(groups, counts, 100), stores)
    ranks = [
        ValidationLoader(lambda: spread_draws(groups, counts, 100), stores, rank=rank, world_size=n_ranks)
        for rank in range(n_ranks)
    ]
    measured = spread_draws(groups, {"hbn": 7, "tuh": 9}, 100)
    whole, ranks = whole.measuring(measured), [loader.measuring(measured) for loader in ranks]
    assert len({len(loader) for loader in ranks}) == 1
    assert len(ranks[0]) == -(-11 // n_ranks)  # three micro-batches of hbn, five of tuh, and three that are measured

    def seen(*loaders: ValidationLoader) -> list[tuple[int, bool, str, list[int]]]:
        return sorted(
            (step.number, step.only_measured, batch["corpus"], batch["samples"][:, 0, 0].tolist())
            for loader in loaders
            for step in loader
            for batch in step.batches
        )

    assert seen(*ranks) == seen(whole)
