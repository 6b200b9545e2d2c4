"""What is combined in a finetuning: strategies, heads, encoders and kinds of answers, and what does not go together."""

import os
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

from eegfm.encoders.config import (
    BraindecodeConfig,
    CbramodConfig,
    ConvConfig,
    EegnetConfig,
    EegnexConfig,
    FembaConfig,
    GruConfig,
    LabramConfig,
    LunaConfig,
    PatchTransformerConfig,
)
from eegfm.encoders.traits import EncoderConfig

IS_FULL = os.environ.get("EEGFM_FINETUNE") == "full"
KINDS = ("binary", "multiclass", "multilabel", "multioutput", "regression", "regressions")
STRATEGIES: dict[str, dict[str, Any]] = {
    "linear_probe": {"name": "linear_probe"},
    "two_stage": {"name": "two_stage", "probe_epochs": 1},
    "gradual": {"name": "gradual", "unfreeze_epoch": 1, "block_epochs": None},
    "gradual-blocks": {"name": "gradual", "unfreeze_epoch": 0, "block_epochs": 1},
    "full": {"name": "full"},
    "layer_decay": {"name": "layer_decay", "factor": 0.5},
    "lora": {"name": "lora", "rank": 2},
    "scratch": {"name": "scratch"},
}
CLOSED: dict[str, dict[str, Any]] = {
    "ridge": {"name": "ridge", "inner_folds": 3},
    "logistic": {"name": "logistic", "inner_folds": 3},
    "knn": {"name": "knn", "inner_folds": 3, "neighbours": [1, 3]},
}
HEADS: dict[str, dict[str, Any]] = {
    "linear": {"name": "linear"},
    "linear-flatten": {"name": "linear", "pooling": "flatten"},
    "linear-rows": {"name": "linear", "pooling": "rows"},
    "mlp-patches": {"name": "mlp", "hidden": [8], "pooling": "patches"},
    "mlp": {"name": "mlp", "hidden": [8]},
    "mlp-cls": {"name": "mlp", "hidden": [8], "pooling": "cls"},
    "attention_pooling": {"name": "attention_pooling", "n_queries": 2},
    "query_aggregation": {"name": "query_aggregation"},
    "log_covariance": {"name": "log_covariance", "width": 4},
    "per_channel": {"name": "per_channel", "hidden": [8]},
    "femba-head": {"name": "femba", "width": 8},
}
ENCODERS: dict[str, EncoderConfig] = {
    "patch_transformer": PatchTransformerConfig(d_model=16, head_size=8, n_layers=2, dropout_ratio=0.1),
    "patch_transformer-register": PatchTransformerConfig(
        d_model=16, head_size=8, n_layers=1, n_registers=1, summary="register"
    ),
    "luna": LunaConfig(size=None, d_token=16, n_layers=1, n_queries=2),
    "labram": LabramConfig(size=None, n_maps=4, n_heads=4, n_layers=2),
    "cbramod": CbramodConfig(n_maps=5, n_heads=2, d_feed_forward=16, n_layers=1),
    "femba": FembaConfig(size=None, d_token=4, n_layers=1, d_state=4, expand=2),
    "conv": ConvConfig(d_model=16, n_layers=2),
    "gru": GruConfig(d_model=16, n_layers=1),
    "eegnet": EegnetConfig(n_temporal_filters=4, n_pointwise_filters=8),
    "eegnex": EegnexConfig(n_first_filters=4, n_filters=8, kernel_samples=16),
    "braindecode": BraindecodeConfig(
        model="Deep4Net", options={"n_filters_time": 4, "pool_time_length": 2, "pool_time_stride": 2}
    ),
}
WINDOWS = ("eegnet", "eegnex", "braindecode")
"""Encoders that give one vector for a whole window."""
_NO_ROWS = ("luna", "femba", *WINDOWS)
FAMILIES = {
    "patch_transformer-register": "has a summary",
    "luna": "one row of patches", "femba": "one row of patches",
    "eegnet": "one vector", "eegnex": "one vector", "braindecode": "needs packages",
}  # fmt: skip
"""Families of encoders: heads and most strategies see nothing else of one. The others have a row for each channel."""
OF_LAYERS = ("gradual-blocks", "layer_decay", "lora")
"""Strategies that take an encoder apart: they are combined with each encoder, not with each family."""
REFUSED: dict[tuple[str, str], str] = {
    **{("per_channel", kind): "answers tasks of kind multilabel, multioutput" for kind in KINDS if "multi" not in kind},
    ("per_channel", "multiclass"): "answers tasks of kind multilabel, multioutput",
    **{(encoder, "per_channel"): "finetune.head" for encoder in _NO_ROWS},
    **{(encoder, "log_covariance"): "finetune.head" for encoder in WINDOWS},
    **{(encoder, "mlp-cls"): "finetune.head" for encoder in ENCODERS if encoder != "patch_transformer-register"},
    **{("lora", encoder): "LoRA changes linear maps" for encoder in WINDOWS},
    **{
        (name, "braindecode"): "does not say which of its layers come first"
        for name in ("gradual-blocks", "layer_decay")
    },
}
"""Pairs that cannot work, and what the message says."""


class Case(NamedTuple):
    """One finetuning."""

    strategy: str
    encoder: str
    head: str
    kind: str

    @property
    def pairs(self) -> set[tuple[str, str]]:
        """All pairs of two choices."""
        strategy, encoder, head, kind = self
        return {
            *((strategy, other) for other in (encoder, head, kind)),
            *((encoder, head), (encoder, kind), (head, kind)),
        }

    @property
    def covered(self) -> set[tuple[str, str]]:
        """Pairs that the default covers: families in place of encoders; to a strategy, a head is its name alone."""
        strategy, encoder, head, kind = self
        family = FAMILIES.get(encoder, "a row for each channel")
        apart = encoder if strategy in OF_LAYERS else family
        return {
            *((strategy, other) for other in (apart, f"head {HEADS[head]['name']}", kind)),
            *((family, head), (family, kind), (head, kind), (encoder, "trained")),
        }

    @property
    def refused(self) -> str | None:
        """What the message says, for a case that cannot work."""
        found = [REFUSED[pair] for pair in sorted(self.pairs & REFUSED.keys())]
        return found[0] if found else None


def all_cases(strategies: Mapping[str, Any] = STRATEGIES) -> Iterator[Case]:
    """Every combination that works."""
    for parts in product(strategies, ENCODERS, HEADS, KINDS):
        if Case(*parts).refused is None:
            yield Case(*parts)


def covering() -> list[Case]:
    """A few cases that cover every pair that works: always the case with most of the pairs that are left."""
    covered = {case: case.covered for case in all_cases()}
    holding: dict[tuple[str, str], list[Case]] = {}
    for case, pairs in covered.items():
        for pair in pairs:
            holding.setdefault(pair, []).append(case)
    left, chosen = set(holding), []
    while left:
        rarest = min(left, key=lambda pair: (len(holding[pair]), pair))
        chosen.append(max(holding[rarest], key=lambda case: len(covered[case] & left)))
        left -= covered[chosen[-1]]
    return chosen
