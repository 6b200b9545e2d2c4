"""Replacement for torchaudio, which has no build for the CPU torch of the tests. It has what braindecode imports."""

from . import functional, transforms

__all__ = ["functional", "transforms"]
