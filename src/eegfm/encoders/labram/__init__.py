"""LaBraM and its vector-quantized tokenizer."""
