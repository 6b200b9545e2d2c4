"""Which windows to cut: fixed grids, after events, between events, trials."""
