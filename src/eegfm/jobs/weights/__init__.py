"""Import published weights, and export encoders for other programs."""
