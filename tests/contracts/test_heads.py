"""Every head of the menu, for every kind of answer and every shape of tokens, keeps the same promises.

``EEGFM_CONTRACTS=full`` trains all of them; without it one kind for each head and shape is trained.
"""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss

from contracts.encoder_cases import IS_FULL
from eegfm.heads.base import Head, HeadSpec, TokenGrid, build_head
from eegfm.heads.config import (
    HEADS,
    AttentionPoolingConfig,
    FembaHeadConfig,
    HeadBase,
    LinearConfig,
    LogCovarianceConfig,
    MlpConfig,
    PerChannelConfig,
    QueryAggregationConfig,
)
from eegfm.targets import TargetSpec

B, D = 8, 6
SHAPES = {"tokens": (3, 4), "patches": (1, 5), "window": (1, 1)}
"""Rows and patches of what encoders of tokens, of patches and of windows give."""
ROWS = ("left", "middle", "right")
TARGETS = {
    "binary": TargetSpec.of_classes(("no", "yes")),
    "multiclass": TargetSpec.of_classes("abcd"),
    "multilabel": TargetSpec("multilabel", ("no", "yes"), ("right", "left", "middle")),
    "multioutput": TargetSpec("multioutput", tuple("abcd"), ("right", "left", "middle")),
    "regression": TargetSpec("regression", (), ("x", "y")),
}
CONFIGS: dict[str, HeadBase] = {
    "linear": LinearConfig(),
    "linear-flatten": LinearConfig(pooling="flatten"),
    "linear-rows": LinearConfig(pooling="rows"),
    "mlp": MlpConfig(),
    "mlp-cls": MlpConfig(pooling="cls", hidden=(32, 16)),
    "attention_pooling": AttentionPoolingConfig(n_queries=2),
    "query_aggregation": QueryAggregationConfig(),
    "log_covariance": LogCovarianceConfig(width=5),
    "per_channel": PerChannelConfig(),
    "femba": FembaHeadConfig(width=16),
}

WANTED = {"mlp-cls": ("tokens",), "log_covariance": ("tokens", "patches"), "per_channel": ("tokens",)}
"""Shapes that a head takes, where it does not take all."""


def combinations() -> Iterator[tuple[str, str, str]]:
    """Head, kind and shape, but for what heads refuse."""
    for name, config in CONFIGS.items():
        for kind in config.kinds:
            for shape in SHAPES:
                if shape in WANTED.get(name, tuple(SHAPES)):
                    yield name, kind, shape


ALL = list(combinations())
PAIRS = sorted({(name, shape) for name, _, shape in ALL})
TRAINED = [
    (name, kind, shape)
    for name, kind, shape in ALL
    if IS_FULL or kind == CONFIGS[name].kinds[PAIRS.index((name, shape)) % len(CONFIGS[name].kinds)]
]
"""By default, each head and shape with the next kind in turn."""


def build(name: str, kind: str, shape: str, seed: int = 0) -> Head:
    n_rows, n_patches = SHAPES[shape]
    names = ROWS if shape == "tokens" else ()
    spec = HeadSpec(D, n_rows, n_patches, TARGETS[kind], names, has_summary=shape == "tokens")
    return build_head(CONFIGS[name], spec, seed)


def grid(shape: str, seed: int = 0, mask: Tensor | None = None) -> TokenGrid:
    generator = torch.Generator().manual_seed(seed)
    n_rows, n_patches = SHAPES[shape]
    vectors = torch.randn(B, n_rows, n_patches, D, generator=generator)
    summary = torch.randn(B, D, generator=generator) if shape == "tokens" else None
    return TokenGrid(vectors, torch.ones(B, n_rows, dtype=torch.bool) if mask is None else mask, summary)


def answers(kind: str) -> Tensor:
    """Answers without a rule, every class of every output among them."""
    draw, shape = torch.Generator().manual_seed(5), TARGETS[kind].output_shape
    if kind == "regression":
        return torch.randn(B, *shape, generator=draw)
    n_classes = 2 if kind == "multilabel" else shape[-1]
    outputs = shape if kind == "multilabel" else shape[:-1]
    truth = torch.randint(n_classes, (B, *outputs), generator=draw)
    return truth.float() if kind == "multilabel" else truth


def loss_of(kind: str, logits: Tensor, truth: Tensor) -> Tensor:
    if kind == "regression":
        return mse_loss(logits, truth)
    if kind == "multilabel":
        return binary_cross_entropy_with_logits(logits, truth)
    return cross_entropy(logits.flatten(0, -2), truth.flatten())


@pytest.mark.parametrize(("name", "kind", "shape"), ALL)
def test_shapes_gradients_and_padding(name: str, kind: str, shape: str) -> None:
    head, windows = build(name, kind, shape), grid(shape)
    logits = head(windows)
    assert logits.shape == (B, *TARGETS[kind].output_shape)
    loss_of(kind, logits, answers(kind)).backward()
    for parameter_name, parameter in head.named_parameters():
        assert parameter.grad is not None, parameter_name
        # One token alone is chosen whatever the query is, and has no past that could decay.
        is_alone = shape == "window" and name in ("attention_pooling", "query_aggregation", "femba")
        assert parameter.grad.any() or is_alone, parameter_name
    if shape == "tokens":
        mask = torch.ones(B, 3, dtype=torch.bool)
        mask[:, 2], mask[0, 1] = False, False
        padding_changes_nothing(head.eval(), mask, name)


def padding_changes_nothing(head: Head, mask: Tensor, name: str) -> None:
    windows, at = grid("tokens", mask=mask), ~mask
    expected = head(windows)
    for value in (torch.nan, torch.inf, 1e3):
        filled = windows.vectors.clone()
        filled[at] = value
        assert torch.equal(head(windows._replace(vectors=filled)), expected)
    if name != "mlp-cls":
        assert not torch.allclose(head(windows._replace(mask=torch.ones_like(mask))), expected)
        moved = windows._replace(vectors=windows.vectors + 0.5 * torch.ones(D))
        assert not torch.allclose(head(moved), expected) or name == "log_covariance"  # which knows no mean


@pytest.mark.parametrize("name", CONFIGS)
def test_a_window_without_a_row_and_low_precision(name: str) -> None:
    head = build(name, "multioutput", "tokens").eval()
    mask = torch.ones(B, 3, dtype=torch.bool)
    mask[3] = False
    windows = grid("tokens", mask=mask)
    logits = head(windows)
    assert logits.isfinite().all()
    loss_of("multioutput", logits, answers("multioutput")).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = head(windows)
    assert (low - logits).square().mean() < 1e-3 * logits.square().mean() + 1e-4


@pytest.mark.parametrize("name", CONFIGS)
def test_the_seed_alone_decides_the_weights(name: str) -> None:
    state = torch.random.get_rng_state()
    first, again, other = (build(name, "multilabel", "tokens", seed).state_dict() for seed in (4, 4, 5))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize(("name", "kind", "shape"), TRAINED)
def test_it_learns_eight_windows_by_heart(name: str, kind: str, shape: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # of dropout
        head, windows, truth = build(name, kind, shape), grid(shape), answers(kind)
        start = loss_of(kind, head.eval()(windows), truth)
        optimizer = torch.optim.Adam(head.train().parameters(), lr=0.03)
        for _ in range(150):
            optimizer.zero_grad()
            loss = loss_of(kind, head(windows), truth)
            loss.backward()
            optimizer.step()
        # A linear map of six numbers cannot tell eight windows apart at will.
        is_narrow = isinstance(CONFIGS[name], LinearConfig) and head.network[0].in_features < B
        learned = 0.75 if is_narrow else 0.3
        assert loss_of(kind, head.eval()(windows), truth) < learned * start


def test_every_head_of_the_menu_is_asked() -> None:
    assert {type(config) for config in CONFIGS.values()} == set(HEADS)
    assert {name for name, _, _ in TRAINED} == {*CONFIGS}
    assert {kind for _, kind, _ in TRAINED} == {*TARGETS}
