"""Micro-batches of a validation, the same in every one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

from eegfm.batch import TrainStep
from eegfm.store.stores import Stores
from eegfm.training.loading.gather import gather
from eegfm.training.plans.plan import Draw


class ValidationLoader:
    """Every chosen window once, always the same, in the same batches: one micro-batch per corpus at a time.

    Several ranks take turns by micro-batch. A window is counted once, whatever the number of ranks. All ranks have
    equally many steps, because they meet after the last one: a rank that has no micro-batch left takes an empty step.

    Args:
        draws: Gives the micro-batches of each corpus, see ``spread_draws``, when they are asked for first: whoever
            finds them may read samples.
        stores: Stores by corpus.
        rank: Number of this process.
        world_size: Number of processes.
        measured: Micro-batches of each corpus that come behind the others, and whose features alone are measured.
    """

    def __init__(
        self,
        draws: Callable[[], Mapping[str, Sequence[Draw]]],
        stores: Stores,
        *,
        rank: int = 0,
        world_size: int = 1,
        measured: Mapping[str, Sequence[Draw]] | None = None,
    ) -> None:
        self._draws, self._measured, self._stores = draws, measured or {}, stores
        self._rank, self._world_size = rank, world_size

    def measuring(self, measured: Mapping[str, Sequence[Draw]]) -> "ValidationLoader":
        """The same micro-batches, and behind them these, whose features alone are measured."""
        place = {"rank": self._rank, "world_size": self._world_size}
        return ValidationLoader(self._draws, self._stores, measured=measured, **place)

    @cached_property
    def _steps(self) -> list[tuple[list[Draw], TrainStep]]:
        """Draws of this rank in each step, and the step without them."""
        scored = _side_by_side(self._draws())
        steps = [(draws, TrainStep(k, [], 0)) for k, draws in enumerate(scored)]
        for k, draws in enumerate(_side_by_side(self._measured), len(scored)):
            steps.append((draws, TrainStep(k, [], 0, only_measured=True)))
        if self._world_size > 1:
            idle = TrainStep(len(steps), [], 0)
            steps = [([draw], step) for draws, step in steps for draw in draws]
            steps += [([], idle)] * (-len(steps) % self._world_size)
        return steps[self._rank :: self._world_size]

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[TrainStep]:
        for draws, step in self._steps:
            batches = [gather(draw, self._stores[draw.group.corpus]) for draw in draws]
            yield step._replace(batches=batches, n_windows=sum(len(draw.positions) for draw in draws))


def _side_by_side(draws: Mapping[str, Sequence[Draw]]) -> list[list[Draw]]:
    """Steps of one micro-batch of each corpus that has one left, in the order of the corpora's names."""
    ordered = [draws[corpus] for corpus in sorted(draws)]
    n_steps = max(map(len, ordered), default=0)
    return [[of_corpus[k] for of_corpus in ordered if k < len(of_corpus)] for k in range(n_steps)]
