"""Trainings of these tests draw no images: tests of images do, and here they would take most of the time."""

import pytest


@pytest.fixture(autouse=True)
def _no_images(no_images: None) -> None:
    """For every test of this folder."""
