"""Masks: which patches of a window an objective hides."""
