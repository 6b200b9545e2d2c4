"""Supervised baselines: published convolutional networks without their classifiers."""
