"""Trainings of these tests draw no images: tests of images do, and here they would take most of the time."""

import numpy as np
import pytest

from eegfm.training.logs import reconstructions


@pytest.fixture(autouse=True)
def no_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconstructions, "reconstruction_image", lambda item: np.zeros((1, 1, 3), dtype=np.uint8))
