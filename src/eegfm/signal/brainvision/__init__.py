"""BrainVision recordings."""
