"""Simulated EEG, written as real files in the published layouts of TUAB v3 and HBN."""
