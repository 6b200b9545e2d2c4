"""Floor 2: cutting, splits and mixtures: tables in, tables out, no signal touched."""
