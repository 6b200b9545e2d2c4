"""Fixtures that all tests of this folder use."""

from jobs.probe.test_probe import checkpoint, store, windows

__all__ = ["checkpoint", "store", "windows"]
