"""Pairs of windows that should be represented alike, for contrastive objectives."""
