"""Floor 5: training. Only this room imports Lightning."""
