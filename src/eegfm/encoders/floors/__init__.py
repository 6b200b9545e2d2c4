"""Supervised networks that honest tables include."""
