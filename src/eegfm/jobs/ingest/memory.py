"""Keep the memory that a conversion frees, so that the next block does not request it again."""

import ctypes
import sys
from functools import cache

# Constants of malloc.h of the GNU C library.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
# The largest threshold that the library accepts, above the arrays of a block; and the memory that may stay unused.
MMAP_BYTES = 32 << 20
KEPT_BYTES = 256 << 20


@cache
def keep_freed_memory() -> bool:
    """Let the C library keep freed memory, once per process.

    By default the GNU C library returns the arrays of every block to the system. The system then hands them out again
    page by page, filled with zeros. This takes 7 % of the time of a conversion.

    Returns:
        Whether the C library of this process supports this.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return False
    return bool(library.mallopt(M_MMAP_THRESHOLD, MMAP_BYTES)) and bool(library.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES))
