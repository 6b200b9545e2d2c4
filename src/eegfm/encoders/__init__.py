"""Floor 3: encoders, which turn windows into tokens and tokens into vectors."""
