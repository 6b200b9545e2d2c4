"""Pretraining: data, model, run, checkpoint."""
