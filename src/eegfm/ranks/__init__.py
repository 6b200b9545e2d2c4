"""Several processes (ranks) that do one job: how they are started, what they say, and how they end. No torch here."""
