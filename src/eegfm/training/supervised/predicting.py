"""What a model says of the windows of a table, through Lightning's Trainer."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from lightning import LightningModule, Trainer
from numpy.typing import NDArray

from eegfm.errors import CheckpointError
from eegfm.nn.device import training_device
from eegfm.training.bfloat16 import check_bfloat16
from eegfm.training.loading.table_loader import TableLoader
from eegfm.training.supervised.module import Predicted, SupervisedModule
from eegfm.training.trainer import quieten

Accelerator = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["32-true", "bf16-mixed"]


class Predictions(NamedTuple):
    """What a model says of all windows of a table, in the table's order.

    Args:
        features: (W, R, X) float32.
        mask: (W, R) bool.
        said: (W, ...) float64 probabilities or numbers, see ``eegfm.targets``.
    """

    features: NDArray[np.float32]
    mask: NDArray[np.bool_]
    said: NDArray[np.float64]


def predict(
    module: SupervisedModule,
    loader: TableLoader,
    *,
    accelerator: Accelerator = "auto",
    precision: Precision = "32-true",
) -> Predictions:
    """Predict all windows of a table on one device.

    Args:
        module: The model; it is put into evaluation mode, and back onto the CPU.
        loader: The windows.
        accelerator: See ``eegfm.training.config.PretrainParams``.
        precision: See there.

    Raises:
        CheckpointError: A prediction is not finite.
        TrainingError: bfloat16 is requested on a CPU that computes it wrong.
    """
    parts = [Predicted(*part) for part in predicted(module, loader, accelerator=accelerator, precision=precision)]
    order = torch.cat([part.places for part in parts]).argsort()
    said = torch.cat([part.said for part in parts])[order].double().numpy()
    if not np.isfinite(said).all():
        n_broken = int((~np.isfinite(said)).reshape(len(said), -1).any(axis=1).sum())
        raise CheckpointError(
            f"predictions of {n_broken} of {len(said)} windows are not finite; the weights or the stored signals are "
            "damaged"
        )
    features = torch.cat([part.features for part in parts])[order].numpy()
    return Predictions(features, torch.cat([part.mask for part in parts])[order].numpy(), said)


def predicted(
    module: LightningModule, loader: TableLoader, *, accelerator: Accelerator = "auto", precision: Precision = "32-true"
) -> list[Any]:
    """Return what ``predict_step`` gives for each batch of a table.

    Args:
        module: Any module; it is put into evaluation mode, and back onto the CPU.
        loader: The windows.
        accelerator: See ``predict``.
        precision: See there.

    Raises:
        TrainingError: bfloat16 is requested on a CPU that computes it wrong.
    """
    device = training_device(accelerator, precision=precision)
    if precision == "bf16-mixed":
        check_bfloat16(device)
    with _silent():
        trainer = Trainer(
            accelerator=device.type,
            devices=1,
            precision=precision,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        found = trainer.predict(module, loader)
    module.cpu()
    return list(found or [])


@contextmanager
def _silent() -> Iterator[None]:
    """Let Lightning not say again which devices there are."""
    quieten()
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
