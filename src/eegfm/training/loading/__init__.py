"""Batches: from plan and stores to tensors."""
