"""Floor 3, below encoders: small torch parts that encoders, adapters and objectives share."""
