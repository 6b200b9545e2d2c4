"""Floor 3: from stored samples to encoded vectors, for training, probes and exports alike."""
