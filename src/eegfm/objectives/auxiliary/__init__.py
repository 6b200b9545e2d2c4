"""Multi-task pretraining on labels alone: auxiliary heads and nothing else."""
