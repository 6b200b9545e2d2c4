"""Contrastive learning: windows of a pair have similar representations, others do not."""
