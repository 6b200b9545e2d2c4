"""Ingest raw files into the signal store, and report the outcome of every file."""
