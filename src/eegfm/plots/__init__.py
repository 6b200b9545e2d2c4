"""Floor 5: Plotly figures of the jobs' results."""
