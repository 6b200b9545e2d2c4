"""Predict what a model says of the windows of a table, through Lightning's Trainer."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from numpy.typing import NDArray

from eegfm.errors import CheckpointError
from eegfm.inference.table_loader import PlacedBatch, TableLoader
from eegfm.nn.device import training_device
from eegfm.progress import Ticker
from eegfm.stopping import stoppable
from eegfm.training.bfloat16 import check_bfloat16
from eegfm.training.supervised.features import Pool
from eegfm.training.supervised.module import SupervisedModule
from eegfm.training.trainer import leave_signals_alone, quieten

logger = logging.getLogger(__name__)

Accelerator = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["32-true", "bf16-mixed"]


class Predictions(NamedTuple):
    """Answers of a model to all windows of a table, in the table's order.

    Args:
        features: (W, F) float32 pooled features; F is 0 where nothing pools them.
        said: (W, ...) float64 probabilities or numbers, see ``eegfm.targets``.
    """

    features: NDArray[np.float32]
    said: NDArray[np.float64]


def predict(
    module: SupervisedModule,
    loader: TableLoader,
    *,
    pool: Pool | None = None,
    accelerator: Accelerator = "auto",
    precision: Precision = "32-true",
    key: str = "",
) -> Predictions:
    """Predict all windows of a table on one device.

    Args:
        module: The model; it is put into evaluation mode, and back onto the CPU.
        loader: The windows.
        pool: Pooling of features over rows, batch by batch: those of all rows are never held. None for no features.
        accelerator: See ``eegfm.training.config.PretrainParams``.
        precision: See there.
        key: See ``predicted``.

    Raises:
        ConfigError: A GPU is asked for and none is there.
        CheckpointError: A prediction or a feature is not finite.
        TrainingError: bfloat16 is requested on a CPU that computes it wrong.
    """
    asked = _Pooled(module, pool)
    found: list[_Part] = predicted(asked, loader, accelerator=accelerator, precision=precision, key=key)
    places, features, is_broken, said = (torch.cat(parts) for parts in zip(*found, strict=True))
    order = places.argsort()
    said = said[order].double()
    for what, broken in (("predictions", ~said.isfinite().flatten(1).all(dim=1)), ("features", is_broken)):
        if broken.any():
            raise CheckpointError(
                f"{what} of {int(broken.sum())} of {len(said)} windows are not finite; the weights or the stored "
                "signals are damaged"
            )
    return Predictions(features[order].numpy(), said.numpy())


class _Part(NamedTuple):
    """Keep what is needed of a batch, on the CPU: places, (B, F) features, (B,) whether one is broken, and answers."""

    places: torch.Tensor
    features: torch.Tensor
    is_broken: torch.Tensor
    said: torch.Tensor


class _Pooled(LightningModule):
    """A model whose features are pooled as soon as they are there."""

    def __init__(self, module: SupervisedModule, pool: Pool | None) -> None:
        super().__init__()
        self.module, self._pool = module, pool

    def predict_step(self, placed: PlacedBatch, batch_idx: int) -> _Part:
        """Answer the windows of a batch."""
        places, features, mask, said = self.module.encoded_and_said(placed)
        if self._pool is None:
            pooled, is_broken = features.new_zeros(len(features), 0), torch.zeros(len(features), dtype=torch.bool)
        else:
            pooled, is_broken = self._pool(features, mask)
        return _Part(places.cpu(), pooled.float().cpu(), is_broken.cpu(), said.cpu())


def predicted(
    module: LightningModule,
    loader: TableLoader,
    *,
    accelerator: Accelerator = "auto",
    precision: Precision = "32-true",
    key: str = "",
) -> list[Any]:
    """Return what ``predict_step`` gives for each batch of a table. Long work says how far it is.

    Args:
        module: Any module; it is put into evaluation mode, and back onto the CPU.
        loader: The windows.
        accelerator: See ``predict``.
        precision: See there.
        key: What stands before the names of both parameters, for messages, such as ``probe.``.

    Raises:
        ConfigError: A GPU is asked for and none is there.
        TrainingError: bfloat16 is requested on a CPU that computes it wrong.
    """
    device = prediction_device(accelerator, precision, key)
    with _silent(), stoppable(is_program=False):
        trainer = Trainer(
            accelerator=device.type,
            devices=1,
            precision=precision,
            logger=False,
            callbacks=[_Progress(loader.n_windows)],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        leave_signals_alone(trainer)
        found = trainer.predict(module, loader)
    module.cpu()
    return list(found or [])


def prediction_device(accelerator: Accelerator, precision: Precision, key: str = "") -> torch.device:
    """Return the device of predictions.

    Args:
        accelerator: See ``predicted``, like all that follow.
        precision: See there.
        key: See there.

    Raises:
        ConfigError: See there.
        TrainingError: See there.
    """
    device = training_device(accelerator, f"{key}accelerator", precision=precision)
    if precision == "bf16-mixed":
        check_bfloat16(device)
    return device


class _Progress(Callback):
    """Lines about long predictions, now and then.

    Args:
        n_windows: Windows in all.
    """

    def __init__(self, n_windows: int) -> None:
        self._n_windows, self._n_done, self._ticker = n_windows, 0, Ticker()

    def on_predict_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        """Say how many windows are done, if it is time."""
        self._n_done += len(batch.places)
        if self._ticker.is_due():
            logger.info("Encoded %d of %d windows", self._n_done, self._n_windows)


@contextmanager
def _silent() -> Iterator[None]:
    """Let Lightning not say again which devices there are."""
    quieten()
    emitter = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    before = emitter.level
    emitter.setLevel(logging.WARNING)
    try:
        yield
    finally:
        emitter.setLevel(before)
