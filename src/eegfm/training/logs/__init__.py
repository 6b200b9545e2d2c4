"""Records of a training while it runs."""
