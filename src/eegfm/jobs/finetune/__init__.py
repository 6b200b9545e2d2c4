"""Finetune encoders on tasks, with controls in the same table and scores on persons never seen."""
