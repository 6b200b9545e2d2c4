"""To be written."""

from benchmarks.runner import Part

PARTS: dict[str, Part] = {}
