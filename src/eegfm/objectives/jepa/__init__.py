"""Joint-embedding prediction: the vectors of hidden blocks, from the vectors of what is visible."""
