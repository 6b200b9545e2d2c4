"""Filters, quality checks, scaling and fingerprints of signals."""
