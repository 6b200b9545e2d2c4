"""LUNA: learned queries gather channels, a transformer reads time."""
