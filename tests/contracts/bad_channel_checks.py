"""Checks of every encoder with bad channels: each window has its own, and they are neither seen nor predicted."""

import copy

import torch
from torch import Tensor

from backbones import WindowBackbone
from contracts.encoder_cases import Subject, in_microvolts, make_batch, members, noise, with_signal
from contracts.masked_content import TARGETS
from eegfm.batch import WindowBatch
from eegfm.encoders.base import Encoder
from eegfm.nn.context import Context
from eegfm.nn.weights import build_seeded
from eegfm.objectives.base import Objective
from eegfm.objectives.config import AnyObjectiveConfig, PatchObjectiveConfig

BAD = ((3, 7, 18), (), (0,))  # channels of three windows of one batch


def windows_with_bad_channels(loudness_uv: float) -> WindowBatch:
    """Three windows in microvolts whose bad channels hold noise of any loudness; gradients of the signal are kept."""
    batch = in_microvolts(make_batch(n_windows=3))
    mask = torch.ones(3, 19, dtype=torch.bool)
    for window, channels in enumerate(BAD):
        mask[window, list(channels)] = False
    signal = torch.where(mask.unsqueeze(-1), batch["signal"], loudness_uv * noise(batch["signal"].shape, 9))
    return {**batch, "signal": signal.requires_grad_(), "channel_mask": mask}


def features_see_no_bad_channel(subject: Subject) -> None:
    """No feature of a good channel, or of the window, depends on what a bad one holds; its gradient is zero."""
    encoder = copy.deepcopy(subject.encoder())
    found = []
    for loudness_uv in (5.0, 900.0):
        batch = windows_with_bad_channels(loudness_uv)
        features = encoder.features(with_signal(batch, batch["signal"] / 30))
        real = features.values[features.mask]
        (real * noise(real.shape, 1)).sum().backward()
        _assert_unseen(encoder, batch)
        found.append(real.detach())
    assert torch.equal(*found)


def objectives_ask_for_no_bad_channel(subject: Subject) -> None:
    """No loss depends on what a bad channel holds; its gradient is zero; every objective trains all the same."""
    for member in members(AnyObjectiveConfig):
        if not issubclass(member, PatchObjectiveConfig):
            continue
        config = member(target=[target for target in TARGETS if target != "codes"], allow_leaks=True)
        traits = subject.traits
        if traits.output == "window" or (config.needs_visible and not traits.supports_visible):
            continue
        objective = build_seeded(config, 0, WindowBackbone(copy.deepcopy(subject.encoder()), subject.spec()))
        assert isinstance(objective, Objective)
        found = []
        for loudness_uv in (5.0, 900.0):
            batch = windows_with_bad_channels(loudness_uv)
            loss, logs, _ = objective.eval()(batch, Context())
            loss.backward()
            _assert_unseen(objective.encoder, batch)
            found.append(torch.stack([loss.detach(), logs["baseline_loss"]]))
        assert torch.isfinite(found[0]).all()
        assert torch.equal(*found), config


def _assert_unseen(encoder: Encoder, batch: WindowBatch) -> None:
    gradient: Tensor | None = batch["signal"].grad
    assert gradient is not None, type(encoder).__name__
    assert torch.isfinite(gradient).all()
    is_bad = ~batch["channel_mask"]
    assert not gradient[is_bad].any(), "the gradient of a bad channel is zero"
    assert gradient[~is_bad].abs().amax(dim=-1).gt(0).float().mean() > 0.5, "good channels are seen"


CHECKS = {check.__name__: check for check in (features_see_no_bad_channel, objectives_ask_for_no_bad_channel)}
