"""Plotly figures of what the jobs found."""
