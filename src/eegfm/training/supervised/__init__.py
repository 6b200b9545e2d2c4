"""Supervised training, and what a trained model says of windows, through Lightning."""
