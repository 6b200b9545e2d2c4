"""States of interrupted trainings: what a training needs to go on exactly, and the files that keep it."""
