"""What is written down of a training while it runs."""
