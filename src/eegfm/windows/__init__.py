"""Floor 2: cut recordings into windows. Tables in, tables out; no signal is read."""
