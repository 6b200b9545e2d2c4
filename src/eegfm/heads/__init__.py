"""Heads: from encoded tokens to what is asked of a window."""
