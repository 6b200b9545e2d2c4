"""CBraMod: criss-cross attention with convolutional positions."""
