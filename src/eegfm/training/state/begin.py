"""Begin a training inside its plan."""

from lightning import Trainer


def begin_at(trainer: Trainer, step: int) -> None:
    """Let a trainer count from a step of the plan, so that intervals and logs are those of an uninterrupted run.

    Lightning counts batches of its own. Its way to resume replays loaders; the plan needs none of that.

    Args:
        trainer: A trainer that has not begun.
        step: Optimizer steps that were taken already.
    """
    loop = trainer.fit_loop.epoch_loop
    taken = dict.fromkeys(("ready", "started", "processed", "completed"), step)
    loop.batch_progress.total.load_state_dict(taken)
    loop.manual_optimization.optim_step_progress.total.load_state_dict({"ready": step, "completed": step})
    loop._batches_that_stepped = step


def validate_now(trainer: Trainer) -> None:
    """Run a validation of a fit before its first step, as Lightning does between two steps.

    Args:
        trainer: A trainer that is about to take the first step.
    """
    is_first = trainer._logger_connector._first_loop_iter
    trainer.validating = True
    trainer.fit_loop.epoch_loop.val_loop.run()
    trainer.training = True
    trainer._logger_connector._first_loop_iter = is_first
