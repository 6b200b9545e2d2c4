"""Head with one answer for each row of tokens.

Shapes: B windows, R rows of tokens, P patches of time, D width, K outputs, C classes.
"""

from torch import Tensor

from eegfm.errors import ConfigError
from eegfm.heads.base import Head, HeadSpec, TokenGrid, check_size, new_mlp
from eegfm.heads.config import PerChannelConfig


class PerChannelHead(Head):
    """One network, shared by all rows, on the mean over time of each row.

    Args:
        config: Choices.
        spec: What it is built for.

    Raises:
        ConfigError: The rows of tokens are not named as the outputs are.
    """

    def __init__(self, config: PerChannelConfig, spec: HeadSpec) -> None:
        super().__init__(config, spec)
        outputs = spec.target.outputs
        _check_names(spec)
        self.rows = [spec.row_names.index(name) for name in outputs]
        per_row = spec.n_logits // len(outputs)
        self.network = new_mlp(spec.d_model, config.hidden, per_row, config.dropout_ratio)

    def logits(self, grid: TokenGrid) -> Tensor:
        """Map each row and order the answers as the outputs are; see the base class."""
        check_size(grid, len(self.rows))
        mapped: Tensor = self.network(grid.shown.mean(dim=2))
        return mapped[:, self.rows].flatten(1)


def _check_names(spec: HeadSpec) -> None:
    outputs, rows = set(spec.target.outputs), set(spec.row_names)
    if outputs == rows:
        return
    if rows:
        found = f"rows that are no output: {_few(rows - outputs)}; outputs without a row: {_few(outputs - rows)}"
    else:
        found = "the encoder has no row for each channel, or montages differ in their channels"
    raise ConfigError(
        f"finetune.head.name per_channel needs one row of tokens for each output, by name; {found}; choose head mlp, "
        "or an encoder of tokens and a reference whose channels are the outputs"
    )


def _few(names: set[str]) -> str:
    shown = sorted(names)
    return (", ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")) or "none"
