"""Targets of masked patches: what is predicted of each, and how a prediction is scored."""
