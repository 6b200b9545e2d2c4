"""Scores of predicted vectors."""

import numpy as np
import pytest
import torch

from eegfm.errors import ConfigError
from eegfm.nn.context import Context
from eegfm.objectives.config import JepaConfig, SmartConfig
from eegfm.objectives.latent.objective import normalized_vectors
from latent_windows import build

DISTANCES = {
    "smooth_l1": lambda p, t: np.where(np.abs(p - t) < 1, 0.5 * (p - t) ** 2, np.abs(p - t) - 0.5).mean(),
    "l2": lambda p, t: ((p - t) ** 2).mean(),
    "cosine": lambda p, t: 1 - p @ t / (np.linalg.norm(p) * np.linalg.norm(t)),
}


@pytest.mark.parametrize("kind", DISTANCES)
@pytest.mark.parametrize("is_masked", [False, True])
def test_scores_are_those_of_a_loop_in_float64(kind: str, is_masked: bool) -> None:
    objective = build(JepaConfig(loss=kind))
    draw = torch.Generator().manual_seed(1)
    prediction, target = (2 * torch.randn(3, 6, 8, generator=draw) for _ in range(2))
    scored = torch.rand(3, 6, generator=draw) < 0.6 if is_masked else None
    loss, logs = objective.score(prediction, target, scored, Context())
    p, t = prediction.double().numpy(), target.double().numpy()
    counts = np.ones((3, 6), dtype=bool) if scored is None else scored.numpy()
    means = np.stack([t[b][counts[b]].mean(axis=0) for b in range(3)])
    mean = means.mean(axis=0)
    variance = np.mean([((t[b][counts[b]] - mean) ** 2).mean(axis=0) for b in range(3)], axis=0)

    def over_windows(of: str, q: np.ndarray) -> float:
        by_window = [np.mean([DISTANCES[of](q[b, m], t[b, m]) for m in np.flatnonzero(counts[b])]) for b in range(3)]
        return float(np.mean(by_window))

    assert float(loss) == pytest.approx(over_windows(kind, p), rel=1e-5)
    assert float(logs["baseline_loss"]) == pytest.approx(over_windows(kind, np.broadcast_to(mean, p.shape)), rel=1e-5)
    assert float(logs["cosine"]) == pytest.approx(1 - over_windows("cosine", p), rel=1e-4)
    assert float(logs["target_sd"]) == pytest.approx(np.sqrt(variance).mean(), rel=1e-5)
    assert float(logs["window_sd"]) == pytest.approx(means.std(axis=0).mean(), rel=1e-5)


def test_a_collapse_shows() -> None:
    """Constant vectors; and vectors that say which site they are of, and nothing of the window."""
    objective, prediction = build(JepaConfig()), torch.zeros(4, 6, 8)
    constant = torch.randn(8).expand(4, 6, 8)
    of_sites = torch.randn(6, 8).expand(4, 6, 8)
    found = [objective.score(prediction, target, None, Context())[1] for target in (constant, of_sites)]
    assert float(found[0]["target_sd"]) < 1e-3
    assert float(found[1]["target_sd"]) > 0.3
    assert max(float(logs["window_sd"]) for logs in found) < 1e-3


def test_vectors_are_normalized_over_their_dimensions() -> None:
    vectors = 7 + 3 * torch.randn(2, 3, 64, dtype=torch.float64)
    found = normalized_vectors(vectors)
    expected = (vectors - vectors.mean(-1, keepdim=True)) / vectors.std(-1, correction=0, keepdim=True)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert normalized_vectors(vectors.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("member", [JepaConfig, SmartConfig])
def test_targets_have_the_channels(member: type[JepaConfig] | type[SmartConfig]) -> None:
    with pytest.raises(ValueError, match="channel_subset leaves channels out, and the targets of objective"):
        member(augment=[{"name": "channel_subset", "n_channels": 3}])


def test_a_window_of_one_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    grids = "eegfm.objectives.patches.grids.TokenGrids.longest"
    one = next(iter(build(SmartConfig()).grids.longest(whole_patches=False).values()))
    monkeypatch.setattr(grids, lambda self, whole_patches: {"m": type(one)(1, 1, one.places)})
    with pytest.raises(ConfigError, match="hides some of the tokens of a window, but there is 1"):
        build(SmartConfig())
