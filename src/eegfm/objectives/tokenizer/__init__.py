"""LaBraM's tokenizer: one of K codes for each patch, from which the spectrum of the patch follows."""
