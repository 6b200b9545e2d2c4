"""Floor 3: measures of representations, pure functions without gradients."""
