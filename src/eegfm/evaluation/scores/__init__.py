"""Scores of finished predictions: windows, recordings and persons, with intervals over persons, paired between runs."""
