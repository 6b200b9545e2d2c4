"""The threads of ``prefetch`` that are alive."""

import threading


def prefetch_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "eegfm-prefetch"]
