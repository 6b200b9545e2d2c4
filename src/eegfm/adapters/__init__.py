"""Floor 3: between what is stored and what an encoder sees."""
