"""Lines about long work, now and then."""

import time

LINE_EVERY_S = 10.0


class Ticker:
    """Tells when the next line about the progress of some work is due: every ten seconds."""

    def __init__(self) -> None:
        self.started_s = self._said_s = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the work began."""
        return time.monotonic() - self.started_s

    def is_due(self) -> bool:
        """True if ten seconds passed since the last time that this was true, or since the start."""
        now_s = time.monotonic()
        if now_s - self._said_s < LINE_EVERY_S:
            return False
        self._said_s = now_s
        return True


def span_text(seconds: float) -> str:
    """A span of time in words: ``40 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
