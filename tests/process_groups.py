"""Groups of processes: as Linux lists them, and two ranks that are forked."""

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


FORK_TWO_RANKS = """
children = []
for rank in range(2):
    children.append(os.fork())
    if not children[-1]:
        code = 1
        try:
            meet(rank)
            code = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        os._exit(code)
sys.exit(max(abs(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])) for child in children))
"""
"""End of a program that defines ``meet(rank)``: runs it in two processes, and fails if one of them does."""
