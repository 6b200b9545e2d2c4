"""Train a module on its data to the last step, and say how it went."""

from pathlib import Path

from eegfm.errors import TrainingError
from eegfm.files import DISK_FULL, naming
from eegfm.jobs.train.data import TrainingData
from eegfm.training.data_module import WindowData
from eegfm.training.logs.throughput import ThroughputMonitor
from eegfm.training.module import PretrainModule
from eegfm.training.trainer import build_trainer, honest_end, validation_interval


def fit(module: PretrainModule, data: TrainingData, directory: Path) -> ThroughputMonitor:
    """Train to the last step and validate after it.

    Raises:
        TrainingError: The loss is not finite, or training was stopped before its last step.
    """
    monitor = ThroughputMonitor()
    trainer = build_trainer(module.params, directory, data.n_steps, [monitor], validates=len(data.validation) > 0)
    with honest_end(), naming(directory, DISK_FULL):  # a thread writes the curves, and its errors name no file
        trainer.fit(module, datamodule=WindowData(data.training, data.validation))
    if trainer.global_step != data.n_steps:
        raise TrainingError(
            f"training stopped after {trainer.global_step} of {data.n_steps} steps; nothing is kept, start it again"
        )
    is_validated = data.n_steps % validation_interval(module.params, data.n_steps) == 0
    if len(data.validation) and not is_validated:
        trainer.validate(module, data.validation, verbose=False)
    return monitor


def run_metrics(module: PretrainModule, monitor: ThroughputMonitor) -> dict[str, float]:
    """Plain numbers of a finished training, see ``eegfm.jobs.train.pretrain.fit_pretraining``."""
    history = module.history.table()
    trained = history[history["loss"].notna()]
    last = trained.tail(max(len(trained) // 10, 1))
    metrics = {f"train_{name}": float(last[name].mean()) for name in ("loss", "r2") if name in last}
    validated = history[history["val_loss"].notna()]
    if len(validated):
        names = [name for name in history.columns if name.startswith("val_")]
        metrics |= {name: float(validated[name].iloc[-1]) for name in names}
    backbone = module.objective.backbone
    metrics |= {
        "n_steps": module.n_steps,
        "n_windows": monitor.n_windows.total(),
        "n_parameters": sum(p.numel() for p in backbone.encoder.parameters()),
        "n_adapter_parameters": sum(p.numel() for p in backbone.adapter.parameters()),
        "windows_per_s": monitor.windows_per_s,
    }
    return metrics | {f"corpus_ratio_{corpus}": ratio for corpus, ratio in monitor.corpus_ratios().items()}
