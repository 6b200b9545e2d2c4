"""Pairs of windows for contrastive learning, and windows that must not be negatives."""
