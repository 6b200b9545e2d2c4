"""Floor 2: persons, splits, and the checks against leakage."""
