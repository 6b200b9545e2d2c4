"""LaBraM and its vector-quantised tokenizer."""
