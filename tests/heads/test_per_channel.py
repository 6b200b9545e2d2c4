"""One answer for each row of tokens, by name."""

import pytest
import torch

from eegfm.errors import ConfigError
from eegfm.heads.base import HeadSpec, TokenGrid, build_head
from eegfm.heads.config import PerChannelConfig
from eegfm.targets import TargetSpec

NAMES = ("FP1-F7", "F7-T3", "T3-T5")
OUTPUTS = ("T3-T5", "FP1-F7", "F7-T3")


def grid() -> TokenGrid:
    vectors = torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    return TokenGrid(vectors, torch.ones(2, 3, dtype=torch.bool))


@pytest.mark.parametrize("classes", [2, 4])
def test_output_k_is_the_answer_of_the_row_with_its_name(classes: int) -> None:
    kind = "multilabel" if classes == 2 else "multioutput"
    target = TargetSpec(kind, tuple("abcd"[:classes]), OUTPUTS)
    head = build_head(PerChannelConfig(), HeadSpec(6, 3, 4, target, NAMES), seed=0).eval()
    windows = grid()
    logits = head(windows)
    assert logits.shape == (2, *target.output_shape)
    for k, name in enumerate(OUTPUTS):
        own = head.network(windows.vectors[:, NAMES.index(name)].mean(dim=1))
        torch.testing.assert_close(logits[:, k].view(2, -1), own)
    changed = windows.vectors.clone()
    changed[:, 0] += 1.0
    moved = (head(windows._replace(vectors=changed)) - logits).abs().view(2, 3, -1).amax(dim=(0, 2)) > 0
    assert moved.tolist() == [False, True, False]


REFUSED = [
    (("FP1-F7", "F7-T3"), r"rows that are no output: none; outputs without a row: T3-T5;"),
    ((*NAMES, *"abcd"), r"rows that are no output: a, b, c and 1 more; outputs without a row: none;"),
    ((), r"the encoder has no row for each channel"),
]


@pytest.mark.parametrize(("names", "message"), REFUSED)
def test_other_rows_are_refused(names: tuple[str, ...], message: str) -> None:
    target = TargetSpec("multilabel", ("no", "yes"), OUTPUTS)
    with pytest.raises(ConfigError, match=rf"^finetune\.head\.name per_channel .*{message}.*choose head mlp"):
        build_head(PerChannelConfig(), HeadSpec(6, len(names) or None, 4, target, names), seed=0)


def test_other_kinds_are_refused() -> None:
    spec = HeadSpec(6, 3, 4, TargetSpec.of_classes("ab"), NAMES)
    with pytest.raises(ConfigError, match=r"per_channel answers .*multilabel, multioutput.*is binary; choose .*linear"):
        build_head(PerChannelConfig(), spec, seed=0)
