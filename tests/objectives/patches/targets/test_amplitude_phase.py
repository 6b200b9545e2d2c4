"""Amplitudes and phases, against numpy in float64."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from eegfm.batch import WindowBatch
from eegfm.objectives.patches.targets.base import Asked, Place, Source, Target
from eegfm.objectives.patches.targets.config import AmplitudePhaseTarget
from objectives.patches.targets.conftest import patches_of


def test_amplitudes_are_standardised_and_phases_are_points_of_a_circle(
    source: Callable[..., Source],
    windows: Callable[..., WindowBatch],
    ask: Callable[..., Asked],
    fitted: Callable[..., Target],
) -> None:
    own, batch = source(), windows(5)
    target = fitted(AmplitudePhaseTarget(), own, batch)
    spectrum = np.fft.rfft(patches_of(batch))[..., 1:46] * 2 / 100
    amplitude, angle = np.abs(spectrum), np.angle(spectrum)
    flat = amplitude.reshape(-1, 45)
    standardised = ((amplitude - flat.mean(axis=0)) / flat.std(axis=0)).clip(-15, 15)
    expected = np.concatenate((standardised, np.cos(angle), np.sin(angle)), axis=-1)
    found = target(ask(own, batch))
    np.testing.assert_allclose(found.view(3, 19, 4, 135).numpy(), expected, atol=2e-3)
    shown = target.physical(found)
    assert shown is not None
    np.testing.assert_allclose(shown.view(3, 19, 4, 45).numpy(), amplitude, rtol=1e-3, atol=1e-4)


def test_a_sine_has_its_own_amplitude_and_phase(
    source: Callable[..., Source], windows: Callable[..., WindowBatch], ask: Callable[..., Asked]
) -> None:
    own, batch = source(), windows()
    seconds = torch.arange(400) / 100
    batch["signal"] = (7 * torch.cos(2 * torch.pi * 10 * seconds + 0.6)).expand(3, 19, 400)
    target = AmplitudePhaseTarget().build(own)
    values = target(ask(own, batch))[0, 0, 0]
    assert float(values[9]) == pytest.approx(7, rel=1e-4)
    assert float(values[45 + 9]) == pytest.approx(np.cos(0.6), abs=1e-4)
    assert float(values[90 + 9]) == pytest.approx(np.sin(0.6), abs=1e-4)
    assert float(values[:45].sum()) == pytest.approx(7, rel=1e-3), "and nothing elsewhere"


def test_phases_count_by_their_amplitude(
    source: Callable[..., Source],
    windows: Callable[..., WindowBatch],
    ask: Callable[..., Asked],
    fitted: Callable[..., Target],
) -> None:
    own, batch = source(), windows(bad={1: [0, 1]})
    target = fitted(AmplitudePhaseTarget(), own, batch)
    asked = ask(own, batch)
    values, index = target(asked), torch.tensor([[0, 5, 9], [0, 4, 70], [8, 9, 10]])
    outputs = torch.randn(3, 3, 135, generator=torch.Generator().manual_seed(3))
    scores = target.scores("l1", outputs, values, Place(index, index, asked.mask))
    amplitude = np.abs(np.fft.rfft(patches_of(batch))[..., 1:46]).reshape(3, 76, 45)
    losses = []
    for b in range(3):
        own_losses = []
        for m, n in enumerate(index[b].tolist()):
            if b == 1 and n // 4 < 2:
                continue
            weight = amplitude[b, n] / amplitude[b, n].mean()
            distance = np.abs(outputs[b, m].double().numpy() - values[b, n, 0].double().numpy())
            own_losses.append(np.mean(distance * np.concatenate((np.ones(45), weight, weight))))
        losses.append(np.mean(own_losses))
    assert float(scores.loss) == pytest.approx(np.mean(losses), rel=1e-3)
