"""Task of a training."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from eegfm.checkpoint import Checkpoint
from eegfm.store.stores import Stores
from eegfm.training.config import PretrainParams

Refuse = Callable[[str, dict[str, Any]], None]
"""Function of a run's fingerprint and identity that raises an error if this run must not start."""


@dataclass(frozen=True)
class TrainingJob:
    """A training that is asked for, wherever it is done: here, or on several devices.

    Args:
        params: All choices.
        mixture: Windows to draw from, see ``eegfm.mixture.table.mix_windows``.
        splits: Persons and their splits; the mixture is checked against it, and the header says who was trained on.
        stores: Signal stores by corpus.
        phase: Name of the phase, for the header and for messages.
        start: Encoder to start from; it decides what the parameters leave out. None for weights from the seed.
        tokenizer: Tokenizer whose codes the objective predicts; None where it predicts none.
    """

    params: PretrainParams
    mixture: pd.DataFrame
    splits: pd.DataFrame
    stores: Stores
    phase: str = "pretrain"
    start: Checkpoint | None = None
    tokenizer: Checkpoint | None = None


def refuse_nothing(fingerprint: str, identity: dict[str, Any]) -> None:
    """Let every run start."""
