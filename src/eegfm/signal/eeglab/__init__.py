"""EEGLAB files."""
