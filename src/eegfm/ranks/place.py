"""Place of a process among those that do one job."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Place of this process among those that share a job; the default is a process of its own.

    Args:
        rank: Its number among all.
        n_ranks: Processes in all.
        local_rank: Its number on its machine.
    """

    rank: int = 0
    n_ranks: int = 1
    local_rank: int = 0

    @classmethod
    def of_environment(cls) -> "Place":
        """Read the variables that ``torch.distributed.run`` sets."""
        return cls(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))

    @property
    def is_first(self) -> bool:
        """Tell whether this process writes what all have made."""
        return self.rank == 0


ALONE = Place()
"""Place of a process that shares its job with no other."""
