"""Groups of processes, as Linux lists them."""

import os
from pathlib import Path


def members_of(group: int) -> list[int]:
    """Processes of a group that are still there."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return []
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found
