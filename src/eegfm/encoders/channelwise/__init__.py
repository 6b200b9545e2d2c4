"""Small encoders that mix the patches of each channel, then exchange means between channels."""
