"""Who may be where: persons, splits, and the guards against leakage."""
