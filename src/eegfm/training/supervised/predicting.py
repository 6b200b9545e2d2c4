"""Predictions of a model for the windows of a table, through Lightning's Trainer."""

from typing import Literal, NamedTuple

import numpy as np
import torch
from lightning import Trainer
from numpy.typing import NDArray

from eegfm.errors import CheckpointError
from eegfm.nn.device import training_device
from eegfm.training.loading.table_loader import TableLoader
from eegfm.training.supervised.module import Predicted, SupervisedModule
from eegfm.training.trainer import quieten

Accelerator = Literal["auto", "cpu", "cuda", "mps"]


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


def predict(module: SupervisedModule, loader: TableLoader, *, accelerator: Accelerator = "auto") -> Predictions:
    """Predict all windows of a table on one device, in float32.

    Args:
        module: The model; it is put into evaluation mode, and back onto the CPU.
        loader: The windows.
        accelerator: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        CheckpointError: A prediction is not finite.
    """
    quieten()
    trainer = Trainer(
        accelerator=training_device(accelerator).type,
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    found = trainer.predict(module, loader)
    module.cpu()
    parts = [Predicted(*part) for part in found or []]
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
