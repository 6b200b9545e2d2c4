"""Losses of patch objectives, against loops in double precision."""

from typing import Any

import numpy as np
import pytest
import torch

from eegfm.adapters.config import NoAdapterConfig
from eegfm.batch import SignalSpec, StoredBatch, WindowBatch
from eegfm.encoders.config import LunaConfig, PatchTransformerConfig
from eegfm.encoders.traits import EncoderConfig
from eegfm.errors import ConfigError
from eegfm.inference.backbone import new_backbone
from eegfm.losses.queries import query_likeness
from eegfm.nn.context import Context, Stage
from eegfm.objectives.base_config import EncoderFacts
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


POSITIONS = tuple((0.02 * k - 0.05, 0.05, 0.05) for k in range(C))
MONTAGE = Montage(tuple("abcde"), POSITIONS, (True,) * C, "linked_ears")
SPEC = SignalSpec(100.0, {MONTAGE.name: MONTAGE}, {MONTAGE.name: T})
SMALL = PatchTransformerConfig(d_model=16, head_size=8, n_layers=1)
CONTEXT = Context(corpora=("hbn",))


def build(kind: type[MaskedConfig | MaeConfig], encoder: EncoderConfig = SMALL, **choices: Any) -> PatchObjective:
    backbone = new_backbone(encoder, NoAdapterConfig(), SPEC, 0, reference="average", bad_channels="mask")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        objective = kind(**choices).build(backbone)
    assert isinstance(objective, PatchObjective)
    return objective


@pytest.mark.parametrize("bad", [False, True])
@pytest.mark.parametrize("target", ["signal", "log_spectrum"])
@pytest.mark.parametrize("kind", [MaskedConfig, MaeConfig])
def test_the_mean_of_visible_patches_is_a_prediction_too(
    kind: type[MaskedConfig | MaeConfig], target: str, bad: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = build(kind, target=target)
    seen: list[tuple[WindowBatch, Masking]] = []
    mask = objective.mask

    def watched(windows: WindowBatch, context: Context) -> Masking:
        seen.append((windows, mask(windows, context)))
        return seen[-1][1]

    monkeypatch.setattr(objective, "mask", watched)
    logs = objective(batch_of(MONTAGE, bad=bad), CONTEXT).logs
    ((windows, masking),) = seen
    asked = Asked.of(objective._source, batch_of(MONTAGE, bad=bad), windows, Stage.TRAINING)
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


def everywhere(objective: PatchObjective, batch: StoredBatch) -> tuple[Any, Any, Any, Any]:
    """(B, N, K) predictions and targets of all tokens in float64, (B, N) which are masked, and which are there."""
    windows = objective.windows(batch, CONTEXT)
    masking = objective.mask(windows, CONTEXT)
    n_tokens = C * T // PATCH
    predicted = objective.predict(masking, torch.arange(n_tokens).expand(B, -1)).detach().double().numpy()
    asked = objective._asked(batch, windows, CONTEXT)
    (target,) = objective.targets.values()
    is_masked = np.zeros((B, n_tokens), dtype=bool)
    np.put_along_axis(is_masked, masking.masked.numpy(), True, axis=1)
    present = windows["channel_mask"].repeat_interleave(T // PATCH, dim=1).numpy()
    return predicted, target(asked).squeeze(2).double().numpy(), is_masked, present


def distance(kind: str, x: Any, y: Any) -> Any:
    d = np.abs(x - y)
    return {"l1": d, "l2": d**2, "smooth_l1": np.where(d < 1, d**2 / 2, d - 0.5)}[kind].mean(axis=-1)


@pytest.mark.parametrize("bad", [False, True])
@pytest.mark.parametrize("loss", ["l1", "l2", "smooth_l1"])
@pytest.mark.parametrize("kind", [MaskedConfig, MaeConfig])
def test_visible_patches_count_by_their_weight(kind: type[MaskedConfig | MaeConfig], loss: str, bad: bool) -> None:
    objective = build(kind, target="signal", loss=loss, visible_weight=0.3, mask={"name": "random"}).eval()
    batch = batch_of(MONTAGE, bad=bad)
    predicted, targets, is_masked, present = everywhere(objective, batch)
    logs = objective(batch, CONTEXT).logs
    mean = [targets[b][present[b] & ~is_masked[b]].mean(axis=0) for b in range(B)]
    guesses = {
        "loss": predicted,
        "baseline_loss": np.zeros_like(targets),
        "visible_mean_loss": np.broadcast_to(np.stack(mean)[:, None], targets.shape),
    }
    for name, guess in guesses.items():
        each = distance(loss, guess, targets)
        of_masked, of_visible = (
            np.mean([each[b][present[b] & scored[b]].mean() for b in range(B)]) for scored in (is_masked, ~is_masked)
        )
        assert float(logs[name]) == pytest.approx(of_masked + 0.3 * of_visible, rel=1e-5), name


def test_a_window_of_which_nothing_is_visible_is_no_nan() -> None:
    """One patch of one channel is there, and masked: only the other windows have anything visible."""
    objective = build(MaskedConfig, target="signal", visible_weight=0.5)
    batch = batch_of(MONTAGE, bad=True)
    batch["samples"] = batch["samples"][:, :PATCH]
    batch["is_bad"][1, :4], batch["is_bad"][1, 4] = True, False
    output = objective(batch, CONTEXT)
    output.loss.backward()
    assert all(value.isfinite() for value in output.logs.values())
    assert all(p.grad is None or p.grad.isfinite().all() for p in objective.parameters())


@pytest.mark.parametrize("kind", [MaskedConfig, MaeConfig])
def test_several_targets_at_once_are_the_sum_of_single_ones(kind: type[MaskedConfig | MaeConfig]) -> None:
    single = {
        "signal": build(kind, target="signal"),
        "log_spectrum_minus_slope": build(kind, target={"name": "log_spectrum", "minus": "slope"}),
    }
    both = build(kind, target=["signal", {"name": "log_spectrum", "minus": "slope", "weight": 2.5}])
    batch = batch_of(MONTAGE, bad=True)
    last = [name for name, p in both.named_parameters() if p.shape[0] == both.n_values]
    assert len(last) == 2, "weight and bias of the last map"
    for objective in (both, *single.values()):
        objective.setup([batch], CONTEXT)
    with torch.no_grad():
        for name, parameter in both.named_parameters():
            parts = torch.split(parameter, [each.n_values for each in single.values()]) if name in last else None
            for k, each in enumerate(single.values()):
                each.get_parameter(name).copy_(parameter if parts is None else parts[k])
    output = both(batch, CONTEXT)
    output.loss.backward()
    expected = {}
    for label, each in single.items():
        alone = each(batch, CONTEXT)
        ((2.5 if "slope" in label else 1.0) * alone.loss).backward()
        expected[label] = alone.logs
    for name in ("loss", "baseline_loss", "visible_mean_loss"):
        parts = [expected[label][name] for label in single]
        torch.testing.assert_close(output.logs[name], parts[0] + 2.5 * parts[1])
        for label in single:
            torch.testing.assert_close(output.logs[f"{label}_{name}"], expected[label][name])
    for name, parameter in both.encoder.named_parameters():
        gradients = [each.encoder.get_parameter(name).grad for each in single.values()]
        torch.testing.assert_close(parameter.grad, gradients[0] + gradients[1], atol=1e-5, rtol=1e-3, msg=name)


def test_alike_queries_cost() -> None:
    luna = LunaConfig(n_queries=3, d_token=16, n_layers=1, patch_samples=100, dropout_ratio=0)
    plain, costly = (build(MaskedConfig, luna, query_specialization=weight) for weight in (0.0, 0.8))
    batch = batch_of(MONTAGE, bad=True)
    costly.load_state_dict(plain.state_dict())
    windows = costly.windows(batch, CONTEXT)
    likeness = query_likeness(costly.encoder.query_attention(costly.mask(windows, CONTEXT).tokens))
    before, output = plain(batch, CONTEXT), costly(batch, CONTEXT)
    torch.testing.assert_close(output.logs["query_specialization"], likeness.detach())
    for name in ("loss", "baseline_loss", "visible_mean_loss"):
        torch.testing.assert_close(output.logs[name], before.logs[name] + 0.8 * likeness.detach())
    (output.loss - before.loss).backward()
    assert costly.encoder.gather.attention.key.weight.grad.abs().max() > 0
    assert float(likeness.detach()) > 0.01


def test_an_encoder_without_queries_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"query_specialization 0\.8 .* patch_transformer has none; set it to 0"):
        MaskedConfig(query_specialization=0.8).check_encoder(EncoderFacts.of(SMALL))
    MaskedConfig(query_specialization=0.8).check_encoder(EncoderFacts.of(LunaConfig()))
