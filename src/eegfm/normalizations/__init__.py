"""Floor 3: normalizations, which turn microvolts behind the adapter into the unitless signal that encoders take."""
