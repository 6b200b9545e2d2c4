"""Configurations of encoders by family, torch-free; ``eegfm.encoders.config`` is the menu."""
