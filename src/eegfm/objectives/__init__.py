"""Floor 4: what is asked of an encoder during pretraining."""
