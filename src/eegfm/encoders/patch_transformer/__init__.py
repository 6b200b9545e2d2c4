"""The default encoder: a transformer over patches of single channels."""
