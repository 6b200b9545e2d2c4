"""Parts of the objectives that compare windows: pooled features of all ranks, and projections of them."""
