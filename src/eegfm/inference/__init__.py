"""From stored samples to encoded vectors: one way for training, probes and exports."""
