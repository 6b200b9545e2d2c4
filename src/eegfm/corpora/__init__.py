"""Floor 2: what is true of a corpus: layout, names, labels, official splits."""
