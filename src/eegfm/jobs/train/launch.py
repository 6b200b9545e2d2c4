"""Launch."""


def fit_on_ranks(*a, **k):  # type: ignore
    """Not yet."""
