"""Floor 1: read, check, filter, resample and quantise signals with numpy and scipy."""
