"""Hierarchical contrast of two masked crops of a window."""
