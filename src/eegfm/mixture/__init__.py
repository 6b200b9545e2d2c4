"""Floor 2, above splits: the windows that a training draws from, and their ratio."""
