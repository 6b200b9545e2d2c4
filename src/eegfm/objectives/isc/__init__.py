"""Inter-subject correlation: features follow a movie alike in two persons."""
