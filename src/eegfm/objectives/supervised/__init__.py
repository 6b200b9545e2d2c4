"""Supervised training: a head behind the backbone that answers what is asked of a window."""
