"""Floor 3: augmentations, random changes of the re-referenced signal before the adapter."""
