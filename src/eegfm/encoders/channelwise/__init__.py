"""Small encoders that mix the patches of a channel, then exchange means between channels."""
