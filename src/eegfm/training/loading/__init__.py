"""Load batches: from a plan and the stores to tensors."""
