"""Models of braindecode as encoders."""
