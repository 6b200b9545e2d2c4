"""Plans of training: mixtures, orders and pairs of windows."""
