"""Floor 3: Kedro catalog datasets."""
