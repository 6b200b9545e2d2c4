"""Metrics of answered windows from sums that add up over windows and persons. Numpy in float64; no torch here."""
