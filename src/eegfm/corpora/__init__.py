"""Floor 2: layout, names, labels and official splits of each corpus."""
