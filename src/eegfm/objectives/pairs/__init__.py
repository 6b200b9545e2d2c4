"""What the objectives that compare windows share: pooled features of all ranks, and projections of them."""
