"""Reconstructions of the same few windows: at each validation for TensorBoard, and at the end for the catalog."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch.loggers import TensorBoardLogger

from eegfm.batch import StoredBatch
from eegfm.nn.context import Context, Stage
from eegfm.objectives.base import Objective, Reconstructs
from eegfm.training.logs.images import reconstruction_image
from eegfm.training.logs.names import VAL


@torch.no_grad()
def reconstructed(
    objective: Objective, windows: Mapping[str, StoredBatch], seed: int, device: torch.device
) -> dict[str, dict[str, Any]]:
    """Reconstruct windows of each corpus; the masks are the same every time.

    Args:
        objective: In evaluation mode.
        windows: Windows by corpus, each of one montage.
        seed: Seed of the run.
        device: Device of the objective.

    Returns:
        By corpus, arrays for a plot: see ``eegfm.objectives.base.Reconstruction``; with ``channel_names``, ``rate_hz``
        and ``patch_samples``. Nothing where the objective shows nothing.
    """
    if not isinstance(objective, Reconstructs):
        return {}
    spec, encoder = objective.backbone.encoder_spec, objective.encoder
    context = Context(seed=seed, stage=Stage.RECONSTRUCTION, corpora=tuple(sorted(windows)))
    shown: dict[str, dict[str, Any]] = {}
    for corpus, batch in sorted(windows.items()):
        with context.global_draws(device, corpus):
            fields = objective.reconstruct(move_data_to_device(batch, device), context)
        if fields is None:
            continue
        plain = {name: v.cpu().numpy() if isinstance(v, torch.Tensor) else v for name, v in fields.items()}
        shown[corpus] = {
            **plain,
            "channel_names": list(spec.montages[batch["montage"]].channel_names),
            "rate_hz": spec.rate_hz,
            "patch_samples": encoder.patch_samples,
        }
    return shown


class _Pretraining(Protocol):
    """Module that has reconstructions to show."""

    objective: Objective

    def averaged_weights(self) -> AbstractContextManager[None]: ...


class ReconstructionImages(Callback):
    """Add an image per corpus to TensorBoard at each validation, by the first process only.

    Args:
        windows: Windows by corpus.
        seed: Seed of the run.
    """

    def __init__(self, windows: Mapping[str, StoredBatch], seed: int) -> None:
        self._windows, self._seed = windows, seed

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the windows as the objective reconstructs them now."""
        boards = [to for to in trainer.loggers if isinstance(to, TensorBoardLogger)]
        if not boards or not trainer.is_global_zero:
            return
        module = cast(_Pretraining, pl_module)
        assert not module.objective.training, "a validation is under way"
        with module.averaged_weights(), trainer.precision_plugin.forward_context():
            shown = reconstructed(module.objective, self._windows, self._seed, pl_module.device)
        for corpus, item in shown.items():
            name, image = f"{VAL}/reconstruction/{corpus}", reconstruction_image(item)
            for board in boards:
                board.experiment.add_image(name, image, trainer.global_step, dataformats="HWC")
