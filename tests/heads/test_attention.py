"""Learned queries, against loops and against torch's own attention."""

import pytest
import torch
from torch import nn

from eegfm.errors import ConfigError
from eegfm.heads.attention import AttentionPoolingHead, QueryAggregationHead
from eegfm.heads.base import HeadSpec, TokenGrid, build_head
from eegfm.heads.config import AttentionPoolingConfig, QueryAggregationConfig
from eegfm.targets import TargetSpec
from eegfm.training.optimizers.groups import decaying_parameters

SPEC = HeadSpec(6, 3, 4, TargetSpec.of_classes("abc"))


def windows() -> TokenGrid:
    vectors = torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    return TokenGrid(vectors, torch.tensor([[True, True, False], [True, True, True]]))


def test_attention_pooling_is_a_weighted_mean_for_each_query() -> None:
    head = build_head(AttentionPoolingConfig(n_queries=2), SPEC, seed=0).eval()
    assert isinstance(head, AttentionPoolingHead)
    grid, expected = windows(), []
    for window, mask in zip(grid.vectors, grid.mask, strict=True):
        tokens = window[mask].flatten(0, 1)
        weights = [torch.exp(torch.stack([head.norm(t) @ query for t in tokens])) for query in head.queries]
        means = [sum(w * t for w, t in zip(ws / ws.sum(), tokens, strict=True)) for ws in weights]
        expected.append(head.output(torch.cat(means)))
    torch.testing.assert_close(head(grid), torch.stack(expected))


def test_query_aggregation_is_torchs_cross_attention_and_an_mlp() -> None:
    head = build_head(QueryAggregationConfig(n_heads=3), SPEC, seed=0).eval()
    assert isinstance(head, QueryAggregationHead)
    reference = nn.MultiheadAttention(6, 3, batch_first=True)
    projections = (head.query_projection, head.key_projection, head.value_projection)
    reference.load_state_dict(
        {
            "in_proj_weight": torch.cat([p.weight for p in projections]),
            "in_proj_bias": torch.cat([p.bias for p in projections]),
            "out_proj.weight": head.projection.weight,
            "out_proj.bias": head.projection.bias,
        }
    )
    grid = windows()
    tokens, absent = grid.vectors.flatten(1, 2), ~grid.mask.repeat_interleave(4, dim=1)
    gathered, _ = reference(head.query.expand(2, 1, 6), tokens, tokens, key_padding_mask=absent)
    torch.testing.assert_close(head(grid), head.network(gathered[:, 0]))


def test_it_has_the_size_of_lunas() -> None:
    """A query, torch's attention, and an MLP of four times the width."""
    head = build_head(QueryAggregationConfig(), HeadSpec(64, 1, 32, TargetSpec.of_classes("ab")), seed=0)
    attention, mlp = nn.MultiheadAttention(64, 2), nn.Sequential(nn.Linear(64, 256), nn.Linear(256, 2))
    expected = 64 + sum(p.numel() for p in (*attention.parameters(), *mlp.parameters()))
    assert sum(p.numel() for p in head.parameters()) == expected


def test_heads_that_cannot_share_the_width_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"finetune\.head\.n_heads 4 does not divide the width 6.*such as 1"):
        build_head(QueryAggregationConfig(n_heads=4), SPEC, seed=0)


@pytest.mark.parametrize("config", [AttentionPoolingConfig(), QueryAggregationConfig()])
def test_queries_do_not_decay(config: AttentionPoolingConfig) -> None:
    head = build_head(config, SPEC, seed=0)
    decaying = {id(p) for p in decaying_parameters(head)}
    kept = {name for name, p in head.named_parameters() if id(p) not in decaying and p.ndim > 1}
    assert kept == {"queries" if config.name == "attention_pooling" else "query"}
