"""Floor 3: measures of representations, and metrics of answers. Nothing here has gradients."""
