"""FEMBA: bidirectional Mamba blocks over time."""
