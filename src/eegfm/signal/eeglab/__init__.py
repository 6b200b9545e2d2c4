"""EEGLAB recordings."""
