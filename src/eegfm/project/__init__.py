"""What Kedro asks for: hooks, console, configuration, parameters, lineage."""
