"""Parts of the objectives that mask patches: base class, masks, targets, decoder."""
