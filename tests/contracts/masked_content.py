"""Contract for objectives with masks: no prediction depends on the content of a masked patch."""

import copy
from collections.abc import Callable, Iterator
from typing import get_args

import torch
from torch import Tensor

from backbones import WindowBackbone
from contracts.encoder_cases import LENGTHS_S, Subject, in_microvolts, make_batch, members, noise
from eegfm.batch import WindowBatch
from eegfm.encoders.tokens import Visible
from eegfm.nn.context import Context
from eegfm.nn.weights import build_seeded
from eegfm.objectives.config import AnyObjectiveConfig, PatchObjectiveConfig
from eegfm.objectives.patches.objective import PatchObjective
from eegfm.objectives.patches.targets.config import LogSpectrumTarget, TargetConfig

CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "doubled": lambda signal: 2 * signal,
    "moved": lambda signal: signal + 50.0,
    "replaced": lambda signal: 30 * noise(signal.shape, 77),
    "flat": torch.zeros_like,
    "huge": lambda signal: 1e6 * signal,
}

_MINUS = get_args(LogSpectrumTarget.model_fields["minus"].annotation)
TARGETS = [
    *(member.model_fields["name"].default for member in members(TargetConfig) if member is not LogSpectrumTarget),
    *({"name": "log_spectrum", "minus": minus} for minus in _MINUS),
]
"""Every target of the menu, to be predicted at once."""


class NoTokenizer(torch.nn.Module):
    """Says how many codes there are; nobody asks which."""

    n_codes = 8


def masking_objectives(*, allow_leaks: bool = False) -> Iterator[PatchObjectiveConfig]:
    """Every objective of the menu that masks patches, with all of its targets and masks."""
    for member in members(AnyObjectiveConfig):
        if not issubclass(member, PatchObjectiveConfig):
            continue
        for of in ("microvolts", "normalized"):
            for name in ("random", "rectangular_visible"):
                yield member(target=TARGETS, of=of, mask={"name": name}, allow_leaks=allow_leaks)


def masked_content_stays_masked(subject: Subject) -> None:
    """Doubled, moved, replaced, flattened or huge: what is masked changes no prediction, masked or visible, to the bit.

    Also while training, and where the channels are a mixture of others (``target_signal``).
    """
    if subject.traits.output == "window":
        return
    duration_s = LENGTHS_S[0]
    batch = in_microvolts(make_batch(duration_s=duration_s))
    mixed: WindowBatch = {**batch, "target_signal": batch["signal"]}
    encoder = copy.deepcopy(subject.encoder(duration_s=duration_s))  # one for all: no check moves its weights
    spec = subject.spec(duration_s=duration_s)
    for config in masking_objectives(allow_leaks=bool(subject.config.leaks)):
        if config.needs_visible and not subject.traits.supports_visible:
            continue
        objective = build_seeded(config, 0, WindowBackbone(encoder, spec), NoTokenizer())
        assert isinstance(objective, PatchObjective)
        _check(objective.eval(), batch, CHANGES)
        _check(objective, mixed, {"replaced": CHANGES["replaced"]})
        _check(objective.train(), batch, {"doubled": CHANGES["doubled"]})


def _check(objective: PatchObjective, batch: WindowBatch, changes: dict[str, Callable[[Tensor], Tensor]]) -> None:
    shown, expected = _predictions(objective, batch)
    masked = shown.repeat_interleave(objective.encoder.patch_samples, dim=2)
    for name, change in changes.items():
        changed: WindowBatch = {**batch, "signal": torch.where(masked, change(batch["signal"]), batch["signal"])}
        found = _predictions(objective, changed)[1]
        moved_sd = float((found - expected).abs().max() / expected.std())
        assert torch.equal(found, expected), (objective.config, name, objective.training, f"moved by {moved_sd:.3g} sd")


def _predictions(objective: PatchObjective, batch: WindowBatch) -> tuple[Tensor, Tensor]:
    """(B, C, P) which patches were masked, and what was predicted of all; dropout and jitter from one seed."""
    B, C, _ = batch["signal"].shape
    before = {name: buffer.clone() for name, buffer in objective.named_buffers()}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(0)  # torch.manual_seed takes a hundred times as long
        masking = objective.mask(objective.windows(batch, Context(seed=1)), Context(seed=1))
        R, P = masking.tokens.n_rows, masking.tokens.n_patches
        predicted = objective.predict(masking, torch.arange(R * P).expand(B, -1))
    for name, buffer in objective.named_buffers():  # running statistics move while training
        buffer.copy_(before[name])
    is_masked = Visible(masking.masked).mask(R * P).view(B, R, P)
    return is_masked.repeat_interleave(objective.encoder.channels_per_token, dim=1)[:, :C], predicted


CHECKS = {check.__name__: check for check in (masked_content_stays_masked,)}
