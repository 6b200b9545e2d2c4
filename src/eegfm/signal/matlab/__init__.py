"""Variables of MATLAB files, for EEGLAB."""
