"""Weights in and out: import of published ones, export for other programs."""
