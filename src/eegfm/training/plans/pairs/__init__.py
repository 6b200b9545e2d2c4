"""Which windows belong together, and which are no negatives."""
