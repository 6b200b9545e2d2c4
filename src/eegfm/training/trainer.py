"""Build Lightning's trainer with explicit settings and without its messages."""

import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from lightning import Callback, Trainer
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.callbacks import Checkpoint

from eegfm.nn.device import training_device
from eegfm.training.bfloat16 import check_bfloat16
from eegfm.training.config import PretrainParams
from eegfm.training.logs.loggers import remove_logs, run_loggers
from eegfm.training.logs.progress_lines import ProgressLines, StepBar
from eegfm.training.ranks import RankStrategy, ask_nothing_of_ranks

logger = logging.getLogger(__name__)


def build_trainer(
    params: PretrainParams,
    run_directory: Path,
    n_steps: int,
    callbacks: Sequence[Callback],
    *,
    validates: bool,
    first_step: int = 0,
) -> Trainer:
    """Build a trainer for exactly ``n_steps`` optimizer steps.

    One Lightning epoch spans the whole run, because epochs belong to the plan of windows. Logs go to ``run_directory``,
    see ``eegfm.training.logs.loggers``. A training that goes on continues them; a training that begins replaces them.

    Args:
        params: Device, precision, intervals. With more than one device, this process is one rank of several.
        run_directory: Folder of the logs.
        n_steps: Optimizer steps in all.
        callbacks: Callbacks of the run.
        validates: Whether there is anything to validate on.
        first_step: Step that the training goes on with, counted from 0. Logs of later steps are cut off.

    Raises:
        TrainingError: bfloat16 is requested on a CPU that computes it wrong. Nothing is removed then.
    """
    assert params.devices != "auto", "jobs.train counts the devices"
    quieten()
    is_shared = params.devices * params.num_nodes > 1
    shows_bar = params.progress_bar and sys.stderr.isatty()  # in a log file every update would be a line
    progress = (StepBar if shows_bar else ProgressLines)(n_steps, first_step)
    trainer = Trainer(
        accelerator=training_device(params.accelerator).type,
        devices=params.devices,
        num_nodes=params.num_nodes,
        strategy=RankStrategy(cluster_environment=TorchElasticEnvironment()) if is_shared else "auto",
        precision=params.precision,
        deterministic=params.deterministic,
        benchmark=False,  # algorithms chosen by their time differ from run to run, and so do their sums
        max_steps=n_steps,
        max_epochs=1,
        val_check_interval=validation_interval(params, n_steps),
        check_val_every_n_epoch=None,  # so that the interval counts the steps of the plan, see ``state.begin``
        num_sanity_val_steps=0,
        limit_val_batches=None if validates else 0,
        log_every_n_steps=min(params.log_interval_steps, n_steps),
        logger=run_loggers(run_directory, first_step),
        callbacks=[progress, *callbacks],
        enable_progress_bar=shows_bar,
        enable_model_summary=False,
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),  # no other than these
        use_distributed_sampler=False,
        default_root_dir=run_directory,
    )
    if params.precision == "bf16-mixed":
        check_bfloat16(trainer.strategy.root_device)
    if is_shared:
        ask_nothing_of_ranks(trainer)
    leave_signals_alone(trainer)
    if not first_step and trainer.is_global_zero:
        remove_logs(run_directory)
    return trainer


def validation_interval(params: PretrainParams, n_steps: int) -> int:
    """Return the steps between two validations; a run shorter than that validates once, at its end."""
    return min(params.validation_interval_steps, n_steps)


def leave_signals_alone(trainer: Trainer) -> None:
    """Keep Lightning from handling SIGTERM.

    Its handler sends a tensor to the other ranks, wherever they are: in the middle of an exchange of gradients, they
    then wait for each other without end. It also ends a validation before what it belongs to is saved.
    """
    connector = trainer._signal_connector
    assert hasattr(connector, "register_signal_handlers"), "Lightning installs its handlers with this method"
    # A method of one object is replaced, which mypy takes for a mistake.
    connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]


def quieten() -> None:
    """Let Lightning log through the root logger, each line once, without its tips for other products."""
    for name in ("lightning", "lightning.pytorch"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*", category=FutureWarning)
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")  # the module's means are those of all ranks
    # A run that a signal has ended in its last validation has no step left, only that validation.
    warnings.filterwarnings("ignore", message="Total length of `.*Loader` across ranks is zero.*")
    warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")  # teachers always are
    emitter = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    if not any(isinstance(f, _NoTips) for f in emitter.filters):
        emitter.addFilter(_NoTips())


_NOISE = ("Tip:", "distributed_backend=", "TPU available", "`Trainer(val_check_interval=1)`")


class _NoTips(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not any(text in str(record.msg) for text in _NOISE)
