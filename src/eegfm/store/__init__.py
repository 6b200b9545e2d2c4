"""Floor 2: the signal store, written once, mapped and gathered from."""
