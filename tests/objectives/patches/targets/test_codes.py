"""Codes as classes, against loops in float64."""

import math
from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from eegfm.batch import StoredBatch, WindowBatch
from eegfm.errors import ConfigError
from eegfm.nn.context import Context
from eegfm.objectives.config import MaskedConfig
from eegfm.objectives.patches.targets.base import Asked, Place, Source, Target
from eegfm.objectives.patches.targets.config import CodesTarget


class Drawn(nn.Module):
    """A tokenizer whose codes are known."""

    n_codes = 5

    def __init__(self, n_tokens: int = 76) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.rand(n_tokens, generator=torch.Generator().manual_seed(1)) ** 2 * 5)
        self.noise = nn.Dropout(0.5)

    def codes(self, batch: StoredBatch) -> Tensor:
        codes: Tensor = self.noise(self.table).long().expand(len(batch["recording"]), -1)
        return codes


@pytest.fixture
def own(source: Callable[..., Source]) -> Source:
    return source(tokenizer=Drawn())


def test_scores_are_cross_entropies(
    own: Source, windows: Callable[..., WindowBatch], ask: Callable[..., Asked], fitted: Callable[..., Target]
) -> None:
    batch = windows(bad={1: [0, 1], 2: list(range(19))})
    target = fitted(CodesTarget(), own, windows(), windows(bad={0: [4]}))
    asked = ask(own, batch)
    codes = target(asked)
    masked = torch.stack([torch.randperm(76, generator=torch.Generator().manual_seed(b))[:30] for b in range(3)])
    outputs = torch.randn(3, 30, 5, generator=torch.Generator().manual_seed(3))
    scores = target.scores("l2", outputs, codes, Place(masked, masked, asked.mask))
    losses: list[list[float]] = []
    for b in range(2):  # nothing of the third window counts
        present = [n for n in range(76) if bool(batch["channel_mask"][b, n // 4])]
        visible = Counter(int(codes[b, n]) for n in present if n not in masked[b].tolist())
        frequency = target.frequency.double().tolist()
        each = []
        for m, n in enumerate(masked[b].tolist()):
            if n in present:
                logits, code = outputs[b, m].double().tolist(), int(codes[b, n])
                of_window = (visible[code] + frequency[code]) / (visible.total() + 1)
                loss = math.log(sum(map(math.exp, logits))) - logits[code]
                each.append((loss, -math.log(frequency[code]), -math.log(of_window)))
        losses.append([sum(part) / len(each) for part in zip(*each, strict=True)])
    for found, expected in zip(scores, zip(*losses, strict=True), strict=True):
        assert float(found) == pytest.approx(sum(expected) / 2, rel=1e-4)


def test_frequencies_are_those_of_real_training_tokens(
    own: Source, windows: Callable[..., WindowBatch], fitted: Callable[..., Target]
) -> None:
    target = fitted(CodesTarget(), own, windows(n_windows=2), windows(n_windows=6, bad={k: [0, 5] for k in range(6)}))
    codes = own.tokenizer.table.long().tolist()
    all_of, some = Counter(codes), Counter(code for n, code in enumerate(codes) if n // 4 not in (0, 5))
    for code in range(5):
        share = (2 * all_of[code] / 76 + 6 * some[code] / 68) / 8
        assert float(target.frequency[code]) == pytest.approx(0.999 * share + 0.001 / 5, rel=1e-5)


def test_the_tokenizer_is_frozen_moves_along_and_is_not_stored(own: Source) -> None:
    target = CodesTarget().build(own)
    assert not own.tokenizer.training
    assert not own.tokenizer.table.requires_grad
    assert set(target.state_dict()) == {"frequency"}
    assert list(target.parameters()) == []
    target.train().to("meta")
    assert own.tokenizer.table.device.type == "meta"
    assert not own.tokenizer.training, "dropout would change the codes"


def test_without_a_tokenizer_the_command_that_makes_it_is_named(source: Callable[..., Source]) -> None:
    with pytest.raises(ConfigError, match=r"there is none; make it with: kedro run --pipelines=tokenizer"):
        MaskedConfig(target=["signal", "codes"]).build(source().backbone)


def test_what_is_shown_is_the_first_target_that_can_be(
    source: Callable[..., Source], windows: Callable[..., WindowBatch]
) -> None:
    own = source(tokenizer=Drawn())
    objective = MaskedConfig(target=["codes", "signal"]).build(own.backbone, own.tokenizer)
    assert objective.reconstruct(windows(), Context())["unit"] == "uV"
    assert MaskedConfig(target="codes").build(own.backbone, own.tokenizer).reconstruct(windows(), Context()) is None


def test_another_number_of_tokens_is_refused(
    source: Callable[..., Source], windows: Callable[..., WindowBatch], ask: Callable[..., Asked]
) -> None:
    own = source(tokenizer=Drawn(38))
    with pytest.raises(ConfigError, match="the tokenizer cuts a window into 38 tokens, the encoder into 76"):
        CodesTarget().build(own)(ask(own, windows()))
