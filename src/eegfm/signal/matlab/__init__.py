"""MATLAB files, for EEGLAB."""
