"""Floor 6: whole jobs, callable without Kedro."""
