"""Which windows a training draws from, and in which ratio."""
