"""Floor 5: features, closed-form probes, controls, metrics and confidence intervals."""
