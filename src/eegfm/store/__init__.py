"""Floor 2: the signal store, written once, memory-mapped and gathered from."""
