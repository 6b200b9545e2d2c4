"""Tasks: cuts whose windows carry an answer, each with the source of its definition."""
