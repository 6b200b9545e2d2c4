"""Floor 1: reading, checking, filtering, resampling and quantising signals with numpy and scipy."""
