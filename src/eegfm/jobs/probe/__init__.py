"""Probe frozen encoders beside their controls."""
