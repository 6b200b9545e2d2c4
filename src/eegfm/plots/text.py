"""Text of figures: names from files, and words for numbers."""

import html

from eegfm.printable import printable


def plain(name: str) -> str:
    """Return a name from a file as plain text. Plotly would read ``<a href=…>`` as a link."""
    return html.escape(printable(name), quote=False)


def spelled(name: str) -> str:
    """Return the name of a metric or model in words, as plain text."""
    return plain(name).replace("_", " ")


def looks_before(n_looks: int) -> str:
    """Say how often test persons had been scored before."""
    often = {0: "never scored", 1: "scored once"}.get(n_looks, f"scored {n_looks} times")
    return f"test persons {often} before"


def counted(fewest: int, most: int) -> str:
    """Say how many there are where folds have different numbers."""
    return f"{fewest}" if fewest == most else f"{fewest} to {most}"
