"""Raw files into the signal store, with an account of every file."""
