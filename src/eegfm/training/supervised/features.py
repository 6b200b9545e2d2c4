"""Features of windows without a head, through Lightning's Trainer: several backbones in one pass over the samples.

Shapes: B windows, R rows (channels, or one of the whole window), X features of a row, L layers, F features of a window.
"""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import torch
from lightning import LightningModule
from torch import Tensor, nn

from eegfm.batch import StoredBatch
from eegfm.encoders.layer_features import layer_features, refuse_without_layers
from eegfm.inference.backbone import Backbone
from eegfm.inference.table_loader import PlacedBatch

Pool = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Function from (B, R, X) features and (B, R), True for rows with signal, to (B, F) and (B,), True for windows whose
features are broken."""
Layers = Literal["last", "mean", "each"]
"""Layers that give features: the last one, the mean of all, or each on its own."""


class PooledFeatures(NamedTuple):
    """Features of windows, on the CPU.

    Args:
        places: (B,) numbers of the windows in their table.
        values: By backbone, (B, F) float32; (B, L, F) of each layer.
        is_broken: By backbone, (B,) True for windows whose features are broken.
    """

    places: Tensor
    values: dict[str, Tensor]
    is_broken: dict[str, Tensor]


class FeatureModule(LightningModule):
    """Encode windows with several backbones, each in evaluation mode. Nothing is trained here.

    Args:
        backbones: The encoders and what stands before each, by name.
        layers: Layers that give features.
        pool: Pooling over rows.

    Raises:
        ConfigError: An encoder has no layers to look at one by one, see ``layer_features``.
    """

    def __init__(self, backbones: Mapping[str, Backbone], layers: Layers, pool: Pool) -> None:
        super().__init__()
        if layers != "last":
            for backbone in backbones.values():
                refuse_without_layers(backbone.encoder)
        self.names, self.layers, self._pool = tuple(backbones), layers, pool
        self.backbones = nn.ModuleList(backbones.values())

    def predict_step(self, placed: PlacedBatch, batch_idx: int) -> PooledFeatures:
        """Return the features of the windows of a table, see ``SupervisedModule.predict_step``."""
        values, is_broken = {}, {}
        for name, backbone in zip(self.names, self.backbones, strict=True):
            assert isinstance(backbone, Backbone), "the list was made of backbones"
            found, mask = self._rows(backbone, placed.batch)
            pooled, broken = zip(*(self._pool(part, mask) for part in found), strict=True)
            values[name] = (torch.stack(pooled, dim=1) if self.layers == "each" else pooled[0]).cpu()
            is_broken[name] = torch.stack(broken).any(dim=0).cpu()
        return PooledFeatures(placed.places.cpu(), values, is_broken)

    def _rows(self, backbone: Backbone, batch: StoredBatch) -> tuple[list[Tensor], Tensor]:
        """(B, R, X) features that are pooled, one or those of each layer, and (B, R) their mask."""
        if self.layers == "last":
            features = backbone(batch).features
            return [features.values.float()], features.mask
        found = layer_features(backbone.encoder, backbone.prepare(batch))
        values, mask = [features.values.float() for features in found], found[-1].mask
        return ([torch.stack(values).mean(dim=0)] if self.layers == "mean" else values), mask
