"""Cutters: fixed grids, after events, between events, around trials."""
