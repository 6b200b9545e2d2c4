"""Train a module on its data to the last step, and say how it went."""

import logging
import math
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from eegfm.errors import CheckpointError, TrainingError
from eegfm.files import DISK_FULL, exclusive, naming
from eegfm.jobs.train.prepare import PreparedRun
from eegfm.jobs.train.reconstruct import shown_windows
from eegfm.jobs.train.resume import state_to_go_on_from
from eegfm.jobs.train.runs import CHECKPOINTS, LOCK, busy
from eegfm.jobs.train.start import start_metrics
from eegfm.metrics.names import metric_names
from eegfm.ranks.place import ALONE, Place
from eegfm.stopping import deferred, stoppable
from eegfm.training.data_module import WindowData
from eegfm.training.logs.reconstructions import ReconstructionImages
from eegfm.training.logs.throughput import ThroughputMonitor
from eegfm.training.module import WEIGHT_AVERAGE, PretrainModule
from eegfm.training.ranks import join
from eegfm.training.state.begin import begin_at
from eegfm.training.state.best import BestValidation
from eegfm.training.state.checkpointing import Checkpointing
from eegfm.training.state.content import TrainState, restore
from eegfm.training.state.folder import StateFolder
from eegfm.training.supervised.config import SupervisedParams
from eegfm.training.trainer import build_trainer, validation_interval

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fitted:
    """A training that has taken its last step.

    Args:
        published: State whose weights are stored: the last, or that of the best validation.
        best: The best validation.
        monitor: Counts of windows, and their time.
    """

    published: TrainState
    best: BestValidation
    monitor: ThroughputMonitor


def fit(run: PreparedRun, directory: Path, place: Place = ALONE) -> Fitted:
    """Train to the last step, from the last checkpoint if there is one, and validate after the last step.

    The module of the run has the weights that are to be published then.

    Args:
        run: What is trained, and its windows.
        directory: Folder of the run.
        place: Place of this process among those that share the training. The first one alone writes.

    Raises:
        TrainingError: Too many losses are not finite, training was stopped before its last step, or another process
            trains this run.
        CheckpointError: A checkpoint is of another format, or that of the best validation is lost.
        Stopped: A signal came. A checkpoint of the last step is kept.
    """
    module, monitor = run.module, ThroughputMonitor()
    best = _best_validation(module)
    module.parts |= {"throughput": monitor, "best": best}
    folder = StateFolder(directory / CHECKPOINTS, module.params.checkpoint.keep)
    if place.n_ranks > 1:
        join()
    with exclusive(directory / LOCK, partial(busy, directory)) if place.is_first else nullcontext():
        state = state_to_go_on_from(module, folder, directory, run.identity, place)
        if state is not None:
            restore(module, state)
            _restore_best(best, folder, module, directory.name)
        if state is None or state.awaits_validation or (state.step < run.data.n_steps and not best.has_ended):
            state = _train(run, directory, state, folder)
        return Fitted(_published(module, state, best, folder), best, monitor)


def _train(run: PreparedRun, directory: Path, first: TrainState | None, folder: StateFolder) -> TrainState:
    """Take the steps that are left, and validate. The state after that is the last one of the run."""
    module, data = run.module, run.data
    monitor, best = module.parts["throughput"], module.parts["best"]
    assert isinstance(monitor, ThroughputMonitor)
    assert isinstance(best, BestValidation)
    params, first_step, validates = module.params, 0 if first is None else first.step, data.validates
    interval = validation_interval(params, data.n_steps) if validates else 0
    if first_step < data.n_steps:
        data.training.look()  # what is read of all samples is read here, where a signal ends it at once
    images = ReconstructionImages(shown_windows(data, run.stores), params.seed)
    with (
        stoppable(is_program=False),
        deferred() as deferral,
        naming(directory, DISK_FULL),  # a thread writes the curves, and its errors name no file
        Checkpointing(folder, params.checkpoint.every_steps, interval, best, deferral, first) as checkpointing,
    ):
        callbacks = [monitor, images, checkpointing]
        trainer = build_trainer(params, directory, data.n_steps, callbacks, validates=validates, first_step=first_step)
        begin_at(trainer, first_step)
        trainer.fit(module, datamodule=WindowData(data.training.from_step(first_step), data.validation))
        n_done = trainer.global_step
        if not best.has_ended:
            _refuse_early_end(n_done, data.n_steps)
        # The interval may have validated the last step already, but not if there was no step left to take.
        if validates and not best.has_ended and (data.n_steps % interval or first_step == data.n_steps):
            trainer.validate(module, data.validation, verbose=False)
        return checkpointing.finish(module, n_done, writes=trainer.is_global_zero)


def _refuse_early_end(n_done: int, n_steps: int) -> None:
    if n_done != n_steps:
        raise TrainingError(
            f"training stopped after {n_done} of {n_steps} steps; nothing is published; start it again, and it goes on "
            "from its last checkpoint"
        )


def _restore_best(best: BestValidation, folder: StateFolder, module: PretrainModule, fingerprint: str) -> None:
    """Believe the file of the best validation: it may be of a later step than the state that the run goes on from.

    Without that file, or with one that is worse than what the state knows, the value of the state stays, so that no
    worse validation is taken for the best.
    """
    found = folder.best(fingerprint)
    if found is not None and found.parts["best"]["loss"] <= best.loss:
        best.believe(found.parts["best"])
    elif math.isfinite(best.loss):
        logger.warning(
            "%s holds no state of the best validation so far (%s %.6g after step %d); its value is kept, and "
            "publish: best is refused unless a later validation is better",
            *(folder.folder, module.monitor, module.as_logged(best.loss), best.step),
        )


def _published(module: PretrainModule, last: TrainState, best: BestValidation, folder: StateFolder) -> TrainState:
    """The state whose weights are published; the module takes them over."""
    published = last
    if module.params.publish == "best":
        found = folder.best(last.fingerprint)
        if found is None or not _is_best(found, best):
            raise CheckpointError(
                f"publish: best, but {folder.folder} holds no state of the best validation ({module.monitor} "
                f"{module.as_logged(best.loss):.6g} after step {best.step}); choose publish: last, or train again with "
                f"--params={published.header.phase}.resume=false"
            )
        published = found
    module.load_state_dict(published.module, strict=True)
    if module.average is not None:
        module.average.load_state_dict(published.parts[WEIGHT_AVERAGE])
    return published


def _best_validation(module: PretrainModule) -> BestValidation:
    """Count validations from the step on with which all parts are trained that ever are."""
    if not isinstance(module.params, SupervisedParams):
        return BestValidation()
    rules = () if module.freezing is None else module.freezing.rules
    last = max((rule.until_epoch or 0 for rule in rules), default=0)
    return BestValidation(module.params.patience, last * module.n_steps_per_epoch)


def _is_best(state: TrainState, best: BestValidation) -> bool:
    """Tell whether a state is that of the best validation."""
    return (state.parts["best"]["loss"], state.parts["best"]["step"]) == (best.loss, best.step)


def run_metrics(module: PretrainModule, fitted: Fitted) -> dict[str, float]:
    """Return plain numbers of a finished training, see ``eegfm.jobs.train.result.PretrainResult``."""
    monitor, published = fitted.monitor, fitted.published
    history = module.history.table()
    trained = history[history["loss"].map(math.isfinite)]
    last = trained.tail(max(len(trained) // 10, 1))
    metrics = {f"train_{name}": float(last[name].mean()) for name in ("loss", "r2") if name in last}
    validated = history[history["val_loss"].notna() & (history["step"] <= published.step)]
    if len(validated):
        # A measure of features that are not finite is missing.
        last_validated = validated.iloc[-1].dropna()
        metrics |= {str(name): float(v) for name, v in last_validated.items() if str(name).startswith("val_")}
        if isinstance(module.params, SupervisedParams):
            # Of the windows that were trained on since the validation before.
            names = metric_names(module.params.supervised.target.spec)
            metrics |= {f"train_{name}": float(last_validated[name]) for name in names if name in last_validated}
        name = f"best_{module.monitor.replace('/', '_')}"
        metrics |= {name: module.as_logged(fitted.best.loss), "best_step": fitted.best.step}
    backbone = module.objective.backbone
    metrics |= {
        "n_steps": module.n_steps,
        "published_step": published.step,
        "n_skipped_steps": module.skipped.n_skipped,
        "n_windows": monitor.n_windows.total(),
        "n_parameters": sum(p.numel() for p in backbone.encoder.parameters()),
        "n_adapter_parameters": sum(p.numel() for p in backbone.adapter.parameters()),
        "windows_per_s": monitor.windows_per_s,
    }
    if module.header is not None:
        metrics |= start_metrics(module.header.start)
    return metrics | {f"corpus_ratio_{corpus}": ratio for corpus, ratio in monitor.corpus_ratios().items()}
