"""Strategies of finetuning: which weights are trained, and when."""
