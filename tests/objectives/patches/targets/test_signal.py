"""Samples as targets, against numpy in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from eegfm.batch import WindowBatch
from eegfm.objectives.patches.targets.base import Asked, Source
from eegfm.objectives.patches.targets.config import NormalizedSignalTarget, SignalTarget
from objectives.patches.targets.conftest import patches_of


@pytest.mark.parametrize(("of", "scale"), [("microvolts", 30.0), ("normalized", 1.0)])
def test_samples_are_over_the_scale_and_clipped(
    of: str, scale: float, source: Callable[..., Source], windows: Callable[..., WindowBatch], ask: Callable[..., Asked]
) -> None:
    batch, own = windows(), source(of)
    batch["signal"][0, 0, 5] = 1e5
    target = SignalTarget().build(own)
    found = target(ask(own, batch)).view(3, 19, 4, 100)
    np.testing.assert_allclose(found.numpy(), (patches_of(batch) / 30).clip(-15, 15), rtol=1e-5)
    assert target.scale == scale


@pytest.mark.parametrize("of", ["microvolts", "normalized"])
def test_patches_are_normalized_alone(
    of: str, source: Callable[..., Source], windows: Callable[..., WindowBatch], ask: Callable[..., Asked]
) -> None:
    batch, own = windows(), source(of)
    batch["signal"][1, 3] *= 1e-3  # far below the floor
    patches = patches_of(batch)
    expected = (patches - patches.mean(-1, keepdims=True)) / patches.std(-1, keepdims=True).clip(2.0)
    target: Any = NormalizedSignalTarget(floor_uv=2.0).build(own)
    found = target(ask(own, batch)).view(3, 19, 4, 100).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found[1, 3]).max() < 0.1
