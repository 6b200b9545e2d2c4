"""Features of encoders for closed-form fits, through Lightning's Trainer.

Shapes: W windows, L layers, F features.
"""

from collections.abc import Mapping
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from eegfm.evaluation.config import Layers, Pooling
from eegfm.evaluation.features import checked_pool, refuse_montages, refuse_not_finite
from eegfm.inference.backbone import Backbone
from eegfm.inference.table_loader import TableLoader
from eegfm.store.reader import SignalStore
from eegfm.training.supervised.features import FeatureModule, PooledFeatures
from eegfm.training.supervised.predicting import Accelerator, Precision, predicted

_OF_EACH: dict[Layers, Literal["last", "mean", "each"]] = {"last": "last", "mean": "mean", "chosen": "each"}


def encoder_features_of(
    backbones: Mapping[str, Backbone],
    store: SignalStore,
    windows: pd.DataFrame,
    *,
    layers: Layers,
    pooling: Pooling,
    batch_size: int,
    accelerator: Accelerator = "auto",
    precision: Precision = "32-true",
    key: str = "",
) -> dict[str, NDArray[np.float32]]:
    """Encode all windows with all backbones, in one pass over the samples.

    Args:
        backbones: Encoders and what stands before each, by name, in evaluation mode. They come back to the CPU.
        store: Signals of the corpus.
        windows: Rows of one cut of one corpus.
        layers: Layers of the encoders that give features.
        pooling: Pooling over channels.
        batch_size: Windows per pass.
        accelerator: See ``eegfm.training.config.PretrainParams``.
        precision: See there.
        key: Name of the block of both parameters, for messages, with a dot behind it.

    Returns:
        By name, (W, F) in the order of the table; (W, L, F) where a layer is chosen. NaN for unknown features of a
        window, see ``pool_channels``.

    Raises:
        ConfigError: An encoder has no layers, or a GPU is asked for and none is there.
        SplitError: The windows have several montages and ``pooling`` keeps channels.
        CheckpointError: A feature is not finite.
        StoreError: Stored samples differ from their checksums.
        TrainingError: bfloat16 is requested on a CPU that computes it wrong.
    """
    refuse_montages(windows, pooling)
    module = FeatureModule(backbones, _OF_EACH[layers], partial(checked_pool, pooling=pooling))
    loader = TableLoader(store, windows, batch_size)
    parts: list[PooledFeatures] = predicted(module, loader, accelerator=accelerator, precision=precision, key=key)
    order = torch.cat([part.places for part in parts]).argsort()
    for name in backbones:
        refuse_not_finite(name, torch.cat([part.is_broken[name] for part in parts])[order].numpy(), windows)
    return {name: torch.cat([part.values[name] for part in parts])[order].numpy() for name in backbones}
