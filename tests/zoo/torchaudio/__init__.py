"""Stands in for torchaudio, which has no build beside the CPU torch of the tests: what braindecode imports of it."""

from . import functional, transforms

__all__ = ["functional", "transforms"]
