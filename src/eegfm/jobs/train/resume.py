"""Start of a training: at its last checkpoint, at that of a shorter run, or at the first step."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from eegfm.jobs.train.runs import CHECKPOINTS, shorter_runs
from eegfm.ranks.place import ALONE, Place
from eegfm.training.logs.loggers import copy_logs
from eegfm.training.module import PretrainModule
from eegfm.training.ranks import gathered
from eegfm.training.state.content import TrainState, machine_of
from eegfm.training.state.folder import StateFolder

logger = logging.getLogger(__name__)


def state_to_go_on_from(
    module: PretrainModule,
    folder: StateFolder,
    directory: Path,
    identity: Mapping[str, Any],
    place: Place = ALONE,
) -> TrainState | None:
    """Find the last state of a run, and say where the training goes on.

    A run without a state goes on from the longest run that differs in nothing but fewer steps. Its logs and its best
    state are copied. The schedule then goes on with the number of steps of the new run.

    Args:
        module: The module that is about to be trained.
        folder: States of the run.
        directory: Folder of the run.
        identity: What the run is named by.
        place: Place of this process among those that share the training. The first one chooses for all.

    Raises:
        CheckpointError: A state is of another format.
    """
    rank, n_ranks = place.rank, place.n_ranks
    state, source = (None, "") if rank else _chosen(module, folder, directory, identity)
    if n_ranks > 1:
        source, step = gathered([source, 0 if state is None else state.step])[0]
        if rank and source:
            state = _read_again(directory, source, step)
    if state is None:
        return None
    assert module.header is not None, "a module of eegfm.jobs.train has a header"
    module.header = module.header.model_copy(update={"continues": state.header.continues})
    if state.step == module.n_steps and not state.awaits_validation:
        logger.info("Run %s is finished: its %d steps are not taken again", directory.name, state.step)
        return state
    first = "; the validation after that step was ended by a signal and is taken first" * state.awaits_validation
    logger.info("Run %s goes on from step %d of %d%s", directory.name, state.step, module.n_steps, first)
    if rank == 0:
        _say_other_machine(state, module, n_ranks)
    return state


def _chosen(
    module: PretrainModule, folder: StateFolder, directory: Path, identity: Mapping[str, Any]
) -> tuple[TrainState | None, str]:
    """Find the state and the run whose folder holds it, and tidy the folder of this run up."""
    if not module.params.resume:
        folder.clear()
        logger.info("Run %s starts anew (resume: false)", directory.name)
        return None, ""
    folder.tidy()
    if (own := folder.newest(directory.name)) is not None:
        return own, directory.name
    state = _of_a_shorter_run(module, folder, directory, identity)
    if state is None:
        folder.clear()
        return None, ""
    return state, state.header.continues[-1]


def _read_again(directory: Path, source: str, step: int) -> TrainState:
    """Read the state that the first process has chosen."""
    state = StateFolder(directory.parent / source / CHECKPOINTS, 1).at(step)
    return state if source == directory.name else _renamed(state, directory.name)


def _of_a_shorter_run(
    module: PretrainModule, folder: StateFolder, directory: Path, identity: Mapping[str, Any]
) -> TrainState | None:
    name = directory.name
    found = [(path, StateFolder(path / CHECKPOINTS, 1).newest(path.name)) for path in shorter_runs(directory, identity)]
    states = [(state.step, path, state) for path, state in found if state is not None and state.step <= module.n_steps]
    if not states:
        return None
    step, path, state = max(states, key=lambda one: (one[0], one[1].name))
    copy_logs(path, directory)
    folder.clear()  # nothing there can be read, but for a best state that is not of what this run goes on from
    best = StateFolder(path / CHECKPOINTS, 1).best(path.name)
    if best is not None:
        folder.save_best(_renamed(best, name))
    logger.info(
        "Run %s differs from run %s (%d steps) in nothing but its %d steps and takes over what that one had learned at "
        "step %d; its schedule goes on as one over %d steps, so that a run of them in one go would learn otherwise",
        *(name, path.name, state.n_steps, module.n_steps, step, module.n_steps),
    )
    return _renamed(state, name)


def _renamed(state: TrainState, fingerprint: str) -> TrainState:
    """The same state as one of a longer run."""
    continues = (*state.header.continues, state.fingerprint)
    header = state.header.model_copy(update={"fingerprint": fingerprint, "continues": continues})
    return replace(state, fingerprint=fingerprint, header=header)


def _say_other_machine(state: TrainState, module: PretrainModule, n_processes: int) -> None:
    now = machine_of(module, n_processes)
    other = [f"{key} {state.machine.get(key)} -> {now[key]}" for key in now if state.machine.get(key) != now[key]]
    if other:
        logger.warning(
            "The run goes on under other conditions (%s); the last digits of its weights may differ from those of an "
            "uninterrupted run",
            ", ".join(other),
        )
