"""Filtering, quality, scaling and fingerprints of signals."""
