"""Text of figures: names from files, and words for numbers."""

import html

from eegfm.printable import printable


def plain(name: str) -> str:
    """Return a name from a file as plain text. Plotly would read ``<a href=…>`` as a link."""
    return html.escape(printable(name), quote=False)


def spelled(name: str) -> str:
    """Return the name of a metric or model in words, as plain text."""
    return plain(name).replace("_", " ")
