"""BrainVision files."""
