"""Names of published weights, and what they are called here."""
