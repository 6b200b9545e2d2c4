"""Heads that read one vector of a window: the tokens, pooled.

Shapes: B windows, R rows of tokens, P patches of time, D width.
"""

from torch import Tensor

from eegfm.errors import ConfigError
from eegfm.heads.base import Head, HeadSpec, TokenGrid, check_fixed, check_size, new_mlp
from eegfm.heads.config import LinearConfig, MlpConfig, Pooling


class PooledHead(Head):
    """Pool the tokens, then map them: by one linear map, or by several with a GELU between them.

    Args:
        config: Choices.
        spec: What it is built for.

    Raises:
        ConfigError: The pooling does not fit the encoder or the data.
    """

    def __init__(self, config: LinearConfig | MlpConfig, spec: HeadSpec) -> None:
        super().__init__(config, spec)
        self.pooling: Pooling = config.pooling
        hidden, dropout_ratio = (config.hidden, config.dropout_ratio) if isinstance(config, MlpConfig) else ((), 0.0)
        self.network = new_mlp(pooled_width(config.pooling, spec), hidden, spec.n_logits, dropout_ratio)

    def logits(self, grid: TokenGrid) -> Tensor:
        """Pool and map; see the base class."""
        mapped: Tensor = self.network(pooled(grid, self.pooling, self.spec))
        return mapped


def pooled_width(pooling: Pooling, spec: HeadSpec) -> int:
    """Width of the vector that ``pooled`` gives.

    Raises:
        ConfigError: The pooling does not fit the encoder or the data.
    """
    what = f"finetune.head.pooling {pooling}"
    if pooling == "cls" and not spec.has_summary:
        raise ConfigError(
            f"{what} needs an encoder with a token for the whole window, which labram has with encoder.summary cls and "
            "patch_transformer with encoder.summary register; choose pooling mean, rows or flatten"
        )
    check_fixed(spec, what, rows=pooling in ("rows", "flatten"), patches=pooling in ("patches", "flatten"))
    n_rows, n_patches = spec.n_rows or 1, spec.n_patches or 1
    n_vectors = {"mean": 1, "cls": 1, "rows": n_rows, "patches": n_patches, "flatten": n_rows * n_patches}
    return spec.d_model * n_vectors[pooling]


def pooled(grid: TokenGrid, pooling: Pooling, spec: HeadSpec) -> Tensor:
    """(B, X) one vector for each window. Rows that are only padding are zero, and no part of a mean.

    Raises:
        ConfigError: The window has another size than the head was built for.
    """
    if pooling == "cls":
        assert grid.summary is not None, "pooled_width asks for it"
        return grid.summary
    if pooling == "mean":
        return grid.over_rows.mean(dim=1)
    if pooling == "patches":
        check_size(grid, grid.vectors.shape[1], spec.n_patches)
        return grid.over_rows.flatten(1)
    assert spec.n_rows is not None, "pooled_width asks for it"
    if pooling == "rows":
        check_size(grid, spec.n_rows)
        return grid.shown.mean(dim=2).flatten(1)
    check_size(grid, spec.n_rows, spec.n_patches)
    return grid.shown.flatten(1)
