"""Tasks: cuts whose windows have a target, each with the source of its definition."""
