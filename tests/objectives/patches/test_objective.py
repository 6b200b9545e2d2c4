"""Losses of patch objectives beside that of the model, against loops in double precision."""

import numpy as np
import pytest
import torch

from eegfm.adapters.config import NoAdapterConfig
from eegfm.batch import SignalSpec, StoredBatch, WindowBatch
from eegfm.encoders.config import PatchTransformerConfig
from eegfm.inference.backbone import new_backbone
from eegfm.nn.context import Context, Stage
from eegfm.objectives.config import MaeConfig, MaskedConfig
from eegfm.objectives.patches.objective import Masking, PatchObjective
from eegfm.objectives.patches.targets.base import Asked
from eegfm.recording import Montage

B, C, T, PATCH = 3, 5, 400, 100


def batch_of(montage: Montage, *, bad: bool) -> StoredBatch:
    generator = torch.Generator().manual_seed(0)
    batch: StoredBatch = {
        "samples": torch.randint(-2000, 2000, (B, T, C), generator=generator).to(torch.int16),
        "scales_uv": torch.full((B, C), 0.02) * torch.arange(1, C + 1),
        "recording": torch.arange(B),
        "corpus": "hbn",
        "montage": montage.name,
    }
    if bad:
        is_bad = np.zeros((B, C), dtype=bool)
        is_bad[1, 2], is_bad[2, :2] = True, True
        batch["is_bad"] = is_bad
    return batch


@pytest.mark.parametrize("bad", [False, True])
@pytest.mark.parametrize("target", ["signal", "log_spectrum"])
@pytest.mark.parametrize("kind", [MaskedConfig, MaeConfig])
def test_the_mean_of_visible_patches_is_a_prediction_too(
    kind: type[MaskedConfig | MaeConfig], target: str, bad: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    positions = tuple((0.02 * k - 0.05, 0.05, 0.05) for k in range(C))
    montage = Montage(tuple("abcde"), positions, (True,) * C, "linked_ears")
    spec = SignalSpec(100.0, {montage.name: montage}, {montage.name: T})
    encoder = PatchTransformerConfig(d_model=16, head_size=8, n_layers=1)
    backbone = new_backbone(encoder, NoAdapterConfig(), spec, 0, reference="average", bad_channels="mask")
    objective = kind(target=target).build(backbone)
    assert isinstance(objective, PatchObjective)
    seen: list[tuple[WindowBatch, Masking]] = []
    mask = objective.mask

    def watched(windows: WindowBatch, context: Context) -> Masking:
        seen.append((windows, mask(windows, context)))
        return seen[-1][1]

    monkeypatch.setattr(objective, "mask", watched)
    logs = objective(batch_of(montage, bad=bad), Context(corpora=("hbn",))).logs
    ((windows, masking),) = seen
    asked = Asked.of(objective._source, batch_of(montage, bad=bad), windows, Stage.TRAINING)
    targets = objective.targets[target](asked).double().numpy().reshape(B, C * T // PATCH, -1)
    present = windows["channel_mask"].repeat_interleave(T // PATCH, dim=1).numpy()
    losses = []
    for window in range(B):
        masked = set(masking.masked[window].tolist())
        visible = [n for n in range(targets.shape[1]) if n not in masked and present[window, n]]
        scored = [n for n in masked if present[window, n]]
        mean = sum(targets[window, n] for n in visible) / len(visible)
        losses.append(np.mean([np.mean((targets[window, n] - mean) ** 2) for n in scored]))
    assert float(logs["visible_mean_loss"]) == pytest.approx(np.mean(losses), rel=1e-5)
    assert not any(value.requires_grad for value in logs.values())
