"""Pooling of tokens, against loops."""

import pytest
import torch
from torch import Tensor

from eegfm.errors import ConfigError
from eegfm.heads.base import HeadSpec, TokenGrid, build_head
from eegfm.heads.config import LinearConfig, MlpConfig, Pooling
from eegfm.heads.pooled import pooled, pooled_width
from eegfm.targets import TargetSpec

TARGET = TargetSpec.of_classes("abc")
SPEC = HeadSpec(2, 3, 4, TARGET, has_summary=True)


def windows(n_rows: int = 3, n_patches: int = 4) -> TokenGrid:
    draw = torch.Generator().manual_seed(0)
    vectors, summary = torch.randn(2, n_rows, n_patches, 2, generator=draw), torch.randn(2, 2, generator=draw)
    mask = torch.ones(2, n_rows, dtype=torch.bool)
    mask[0, 1] = False
    return TokenGrid(vectors, mask, summary)


def in_a_loop(grid: TokenGrid, pooling: Pooling) -> Tensor:
    found = []
    for vectors, mask, summary in zip(grid.vectors, grid.mask, grid.summary, strict=True):
        there = [row for row, is_there in zip(vectors, mask, strict=True) if is_there]
        rows = [row if is_there else torch.zeros(4, 2) for row, is_there in zip(vectors, mask, strict=True)]
        found.append(
            {
                "mean": sum(t for row in there for t in row) / (4 * len(there)),
                "rows": torch.cat([sum(row) / 4 for row in rows]),
                "flatten": torch.cat([t for row in rows for t in row]),
                "cls": summary,
            }[pooling]
        )
    return torch.stack(found)


@pytest.mark.parametrize("pooling", ["mean", "rows", "flatten", "cls"])
def test_pooling(pooling: Pooling) -> None:
    found = pooled(windows(), pooling, SPEC)
    torch.testing.assert_close(found, in_a_loop(windows(), pooling))
    assert found.shape == (2, pooled_width(pooling, SPEC))


def test_heads_are_linear_maps_of_it() -> None:
    linear = build_head(LinearConfig(pooling="rows"), SPEC, seed=0)
    (layer,) = linear.network
    expected = in_a_loop(windows(), "rows") @ layer.weight.T + layer.bias
    torch.testing.assert_close(linear(windows()), expected)
    mlp = build_head(MlpConfig(hidden=(5, 7), dropout_ratio=0.9), SPEC, seed=0)
    assert [tuple(p.shape) for p in mlp.parameters() if p.ndim > 1] == [(5, 2), (7, 5), (3, 7)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # of dropout
        assert not torch.allclose(mlp(windows()), mlp(windows()))
    maps, gelu = mlp.network[::3], torch.nn.functional.gelu
    expected = maps[2](gelu(maps[1](gelu(maps[0](in_a_loop(windows(), "mean"))))))
    torch.testing.assert_close(mlp.eval()(windows()), expected)


REFUSED = [
    (
        LinearConfig(pooling="cls"),
        HeadSpec(2, 3, 4, TARGET),
        r"pooling cls needs an encoder with a.*choose pooling",
    ),
    (LinearConfig(pooling="rows"), HeadSpec(2, None, 4, TARGET), r"pooling rows needs the same channels.*adapter"),
    (MlpConfig(pooling="flatten"), HeadSpec(2, None, 4, TARGET), r"pooling flatten needs the same channels.*adapter"),
    (
        MlpConfig(pooling="flatten"),
        HeadSpec(2, 3, None, TARGET),
        r"pooling flatten needs windows of one.*length_s",
    ),
]


@pytest.mark.parametrize(("config", "spec", "message"), REFUSED)
def test_what_does_not_fit_is_refused_when_it_is_built(config: LinearConfig, spec: HeadSpec, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^finetune\.head\.{message}"):
        build_head(config, spec, seed=0)
    assert build_head(config.model_copy(update={"pooling": "mean"}), spec, seed=0)


def test_windows_of_another_size_are_refused() -> None:
    for pooling, other in (("flatten", windows(3, 5)), ("flatten", windows(2, 4)), ("rows", windows(2, 4))):
        head = build_head(LinearConfig.model_validate({"pooling": pooling}), SPEC, seed=0)
        with pytest.raises(ConfigError, match=r"built for windows of 3 rows.* of tokens, and these have"):
            head(other)
    assert build_head(LinearConfig(pooling="rows"), SPEC, seed=0)(windows(3, 5)).shape == (2, 3)
