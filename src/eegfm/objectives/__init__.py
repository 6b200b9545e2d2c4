"""Floor 4: objectives, the self-supervised tasks of pretraining."""
