"""Frozen encoders, scored beside their controls."""
