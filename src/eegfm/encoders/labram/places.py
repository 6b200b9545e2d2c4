"""LaBraM's position embedding of a token: one for its electrode plus one for its patch of time.

Shapes: B windows, C channels, P patches per channel, N = C * P tokens, D width.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.labram.config import LabramConfig
from eegfm.encoders.labram.transformer import embedding_table
from eegfm.encoders.montage import check_batch
from eegfm.errors import ConfigError
from eegfm.nn.electrode_embedding import ElectrodeEmbedding, derivation_ends, shared_positions
from eegfm.recording import Montage

# The rows of the published table behind that of [CLS]: ``standard_1020`` in utils.py of 935963004/LaBraM, as far as
# the 129 rows of the published weights reach. The last eight are bipolar derivations.
# fmt: off
ELECTRODES = (
    "FP1", "FPZ", "FP2",
    "AF9", "AF7", "AF5", "AF3", "AF1", "AFZ", "AF2", "AF4", "AF6", "AF8", "AF10",
    "F9", "F7", "F5", "F3", "F1", "FZ", "F2", "F4", "F6", "F8", "F10",
    "FT9", "FT7", "FC5", "FC3", "FC1", "FCZ", "FC2", "FC4", "FC6", "FT8", "FT10",
    "T9", "T7", "C5", "C3", "C1", "CZ", "C2", "C4", "C6", "T8", "T10",
    "TP9", "TP7", "CP5", "CP3", "CP1", "CPZ", "CP2", "CP4", "CP6", "TP8", "TP10",
    "P9", "P7", "P5", "P3", "P1", "PZ", "P2", "P4", "P6", "P8", "P10",
    "PO9", "PO7", "PO5", "PO3", "PO1", "POZ", "PO2", "PO4", "PO6", "PO8", "PO10",
    "O1", "OZ", "O2", "O9", "CB1", "CB2", "IZ", "O10",
    "T3", "T5", "T4", "T6", "M1", "M2", "A1", "A2",
    "CFC1", "CFC2", "CFC3", "CFC4", "CFC5", "CFC6", "CFC7", "CFC8",
    "CCP1", "CCP2", "CCP3", "CCP4", "CCP5", "CCP6", "CCP7", "CCP8",
    "T1", "T2", "FTT9H", "TTP7H", "TPP9H", "FTT10H", "TPP8H", "TPP10H",
    "FP1-F7", "F7-T7", "T7-P7", "P7-O1", "FP2-F8", "F8-T8", "T8-P8", "P8-O2",
)
# fmt: on
_ROWS = {name: row for row, name in enumerate(ELECTRODES, start=1)}


def table_rows(names: Sequence[str], montage: str) -> list[int]:
    """Row of each electrode in the published table, whose row 0 is [CLS]'s; case does not count.

    Raises:
        ConfigError: An electrode is not in the table.
    """
    unknown = [name for name in names if name.upper() not in _ROWS]
    if unknown:
        shown = ", ".join(unknown[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
        raise ConfigError(
            f"encoder labram knows {len(ELECTRODES)} channels by name, most of them electrodes of the 10-10 system, "
            f"but not {shown} of montage {montage}; choose an adapter and the common average for it (in pretrain or "
            "import: adapter: {name: interpolate, montage: 1010_64}, reference: average), or train a new encoder with "
            "pretrain.encoder.channels: positions"
        )
    return [_ROWS[name.upper()] for name in names]


class LabramPlaces(nn.Module):
    """Embeddings of electrodes, by name or by position, and of time.

    By position, a bipolar derivation is the difference of its electrodes' embeddings; by name, it needs one of its own.

    Args:
        config: Choices.
        spec: Specification of the data.

    Raises:
        ConfigError: An electrode is not in the table of names.
    """

    no_weight_decay: ClassVar[tuple[str, ...]] = ("channel_embedding", "time_embedding")

    def __init__(self, config: LabramConfig, spec: SignalSpec) -> None:
        super().__init__()
        self.montages: dict[str, Montage] = {}
        self.channel_embedding: nn.Parameter | None = None
        self.electrode_embedding: ElectrodeEmbedding | None = None
        if config.channels == "names":
            self.montages = dict(spec.montages)
            self.channel_embedding = embedding_table(1 + len(ELECTRODES), config.d_model)
            for k, (name, montage) in enumerate(self.montages.items()):
                rows = torch.tensor(table_rows(montage.channel_names, name))
                self.register_buffer(f"rows_{k}", rows, persistent=False)
        else:
            self.electrode_embedding = ElectrodeEmbedding(config.n_position_frequencies, config.d_model)
        self.time_embedding = embedding_table(config.max_patches, config.d_model)

    def forward(self, batch: WindowBatch, n_patches: int) -> Tensor:
        """(B, N, D), or (1, N, D) where the whole batch shares its places. The encoder knows which lengths there are.

        Raises:
            ConfigError: The batch is of a montage whose names were not looked up.
        """
        return (self._electrodes(batch).unsqueeze(2) + self.time_embedding[:n_patches]).flatten(1, 2)

    @property
    def of_cls(self) -> Tensor | None:
        """(D,) what the [CLS] token gets; None without a table of names."""
        return None if self.channel_embedding is None else self.channel_embedding[0]

    def _electrodes(self, batch: WindowBatch) -> Tensor:
        """(B, C, D) or (1, C, D)."""
        if self.channel_embedding is not None:
            return self.channel_embedding[self._rows(batch)].unsqueeze(0)
        assert self.electrode_embedding is not None
        positions_m = shared_positions(batch["channel_positions"])
        if "second_positions" not in batch:
            places: Tensor = self.electrode_embedding(positions_m)
            return places
        first_m, second_m = derivation_ends(positions_m, shared_positions(batch["second_positions"]))
        difference: Tensor = self.electrode_embedding(first_m) - self.electrode_embedding(second_m)
        return difference

    def _rows(self, batch: WindowBatch) -> Tensor:
        name, n_channels = batch["montage"], batch["signal"].shape[1]
        if name not in self.montages:
            raise ConfigError(
                f"encoder labram looked up the channel names of montages {', '.join(sorted(self.montages))} when it "
                f"was built, not of {name}; build it for data that hold it, or choose encoder.channels: positions"
            )
        check_batch(n_channels, name, self.montages[name], "labram")
        return self.get_buffer(f"rows_{list(self.montages).index(name)}")
