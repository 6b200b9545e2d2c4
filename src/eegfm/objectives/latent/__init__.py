"""Parts of the objectives that predict vectors of an encoder instead of a signal: teacher, targets, scores."""
