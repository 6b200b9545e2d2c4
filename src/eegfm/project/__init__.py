"""Above the floors: hooks, console, configuration, parameters and lineage for Kedro."""
