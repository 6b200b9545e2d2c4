"""Small torch parts that encoders, adapters and objectives share."""
