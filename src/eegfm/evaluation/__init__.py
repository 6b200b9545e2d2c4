"""Floor 5: features, closed-form probes, baselines, metrics and their intervals."""
