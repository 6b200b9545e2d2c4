"""Acquire raw files: simulate them, fetch them, or check a folder."""
