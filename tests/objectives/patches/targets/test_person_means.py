"""Means of persons, against a loop in float64."""

import logging
from collections.abc import Callable

import numpy as np
import pytest
import torch

from eegfm.batch import WindowBatch
from eegfm.nn.context import Stage
from eegfm.objectives.patches.targets.base import Asked, Source, Target
from eegfm.objectives.patches.targets.config import LogSpectrumTarget
from objectives.patches.targets.test_log_spectrum import Array, spectra_of

MINUS_PERSON = LogSpectrumTarget(minus="person")


def window_means(batch: WindowBatch) -> Array:
    """(B, K) means over real channels and patches."""
    _, spectra = spectra_of(batch)
    mask = batch["channel_mask"].numpy()
    return np.stack([spectra[b][mask[b]].mean(axis=(0, 1)) for b in range(len(spectra))])


def expected_left(training: list[WindowBatch], batch: WindowBatch, *, known: bool) -> Array:
    """(B, C, P, K) spectra minus what is known of the person."""
    by_person: dict[tuple[str, int], list[Array]] = {}
    for seen in training:
        for person, mean in zip(seen["person"].tolist(), window_means(seen), strict=True):
            by_person.setdefault((seen["corpus"], person), []).append(mean)
    _, spectra = spectra_of(batch)
    left = np.empty_like(spectra)
    for b, (person, own) in enumerate(zip(batch["person"].tolist(), window_means(batch), strict=True)):
        others = by_person.get((batch["corpus"], person), []) if known else []
        left[b] = spectra[b] - np.mean([own, *others], axis=0)
    return left


@pytest.fixture
def training(windows: Callable[..., WindowBatch]) -> list[WindowBatch]:
    return [
        windows(1, person=torch.tensor([0, 4, 0]), bad={1: [3, 4, 5]}),
        windows(2, person=torch.tensor([4, 1, 0])),
        windows(3, person=torch.tensor([0, 0, 2]), corpus="d"),
    ]


@pytest.mark.parametrize("stage", [Stage.TRAINING, Stage.VALIDATION])
def test_known_persons_are_measured_against_all_that_is_known_and_others_against_their_window(
    stage: Stage,
    training: list[WindowBatch],
    source: Callable[..., Source],
    windows: Callable[..., WindowBatch],
    ask: Callable[..., Asked],
    fitted: Callable[..., Target],
) -> None:
    own = source()
    target = fitted(MINUS_PERSON, own, *training)
    left = [expected_left(training, batch, known=True) for batch in training]
    by_window = [
        (each[b][seen["channel_mask"].numpy()[b]].reshape(-1, 45))
        for each, seen in zip(left, training, strict=True)
        for b in range(3)
    ]
    mean = np.mean([values.mean(axis=0) for values in by_window], axis=0)
    sd = np.sqrt(np.mean([np.square(values).mean(axis=0) for values in by_window], axis=0) - mean**2)
    np.testing.assert_allclose(target.mean.numpy(), mean, atol=1e-4)
    np.testing.assert_allclose(target.sd.numpy(), sd, rtol=1e-3)
    asked = windows(7, person=torch.tensor([0, 3, 900]), bad={0: [1]})  # 3 and 900 are unknown
    expected = (expected_left(training, asked, known=stage is Stage.TRAINING) - mean) / sd
    found = target(ask(own, asked, stage)).view(3, 19, 4, 45).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_no_state_holds_measurements_of_persons(
    training: list[WindowBatch], source: Callable[..., Source], fitted: Callable[..., Target]
) -> None:
    assert set(fitted(MINUS_PERSON, source(), *training).state_dict()) == {"mean", "sd"}


def test_a_corpus_without_persons_is_measured_against_its_windows_and_that_is_said(
    source: Callable[..., Source],
    windows: Callable[..., WindowBatch],
    ask: Callable[..., Asked],
    fitted: Callable[..., Target],
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = source()
    with caplog.at_level(logging.WARNING, "eegfm"):
        target = fitted(MINUS_PERSON, own, windows(1))
    assert [record.message for record in caplog.records] == [
        "Target minus person: c has no persons; windows are measured against themselves"
    ]
    found = target(ask(own, windows(2))).view(3, -1, 45) * target.sd + target.mean
    np.testing.assert_allclose(found.mean(dim=1).numpy(), 0, atol=1e-4)
