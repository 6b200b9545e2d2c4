"""Raw files: simulated, fetched or checked."""
