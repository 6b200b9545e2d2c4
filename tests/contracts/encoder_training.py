"""Contract of every encoder for training, files and compilers. Each check covers one promise."""

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from backbones import WindowBackbone
from checkpoints import header
from contracts.encoder_cases import Subject, in_microvolts, make_batch, members, noise, tones, with_signal
from contracts.encoder_checks import CLOSE, deviation
from eegfm.batch import WindowBatch
from eegfm.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from eegfm.encoders.base import Encoder
from eegfm.encoders.load import PREFIX, build_encoder, new_encoder
from eegfm.nn.context import Context
from eegfm.nn.weights import build_seeded
from eegfm.objectives.base import Objective
from eegfm.objectives.base_config import EncoderFacts
from eegfm.objectives.config import AnyObjectiveConfig, MaskedConfig, ObjectiveConfig
from eegfm.training.bfloat16 import check_bfloat16


def no_random_state(subject: Subject) -> None:
    """The seed decides the weights; global random state is left alone and decides nothing."""
    built = []
    with torch.random.fork_rng(devices=[]):
        for seed in (123, 124):
            torch.manual_seed(seed)
            state = torch.random.get_rng_state()
            built.append(subject.encoder_of(subject.spec()).state_dict())
            assert torch.equal(torch.random.get_rng_state(), state)
    for name, value in built[0].items():
        assert torch.equal(value, built[1][name]), name
    other = new_encoder(subject.light, subject.spec(), seed=1)
    assert not all(torch.equal(value, built[0][name]) for name, value in other.state_dict().items())


def gradients(subject: Subject) -> None:
    """Finite for every weight, and of every weight for some window."""
    encoder = copy.deepcopy(subject.encoder(is_default=True)).train()
    for seed in range(2):
        batch = make_batch(n_windows=3, seed=seed)
        _loss(encoder, batch, seed).backward()
    _assert_learning(encoder)


def flat_windows(subject: Subject) -> None:
    """A flat window, and flat channels in another: finite forward and backward."""
    encoder = copy.deepcopy(subject.encoder())
    for mode in (False, True):
        signal = make_batch(n_windows=3)["signal"]
        signal[0], signal[1, :7] = 0.0, 0.0
        batch = with_signal(make_batch(n_windows=3), signal.requires_grad_())
        loss = _loss(encoder.train(mode), batch, 0)
        assert torch.isfinite(loss)
        loss.backward()
        assert torch.isfinite(batch["signal"].grad).all()
        assert all(torch.isfinite(p.grad).all() for p in encoder.parameters() if p.grad is not None)


def _loss(encoder: Encoder, batch: WindowBatch, seed: int) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoded = encoder(batch)
    return (encoded * noise(encoded.shape, seed + 10)).sum()


def _assert_learning(module: nn.Module) -> None:
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def state_in_a_file(
    subject: Subject, rebuild: Callable[[Checkpoint], Encoder] = build_encoder, *, duration_s: int = 4
) -> None:
    """A checkpoint file holds all that training changes, bit for bit."""
    encoder = copy.deepcopy(subject.encoder(is_default=True)).train()
    with torch.no_grad():
        for k, parameter in enumerate(encoder.parameters()):
            parameter.add_(0.01 * noise(parameter.shape, k))
        encoder(make_batch())  # running statistics
        encoder.eval()
        expected = encoder(make_batch(duration_s=duration_s))
    facts = {"encoder": subject.config.model_dump(mode="json"), "encoder_spec": subject.spec().to_dict()}
    tensors = {f"{PREFIX}{name}": value.numpy() for name, value in encoder.state_dict().items()}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "encoder.safetensors"
        save_checkpoint(path, Checkpoint(tensors, header(**facts)))
        again = rebuild(load_checkpoint(path))
    assert again.config == encoder.config
    for name, value in encoder.state_dict().items():
        found = again.state_dict()[name]
        assert found.dtype == value.dtype, name
        assert torch.equal(found, value), name
    with torch.no_grad():
        assert torch.equal(again(make_batch(duration_s=duration_s)), expected)


def overfits_eight_windows(subject: Subject) -> None:
    """Eight windows of different tones are learned by heart, through the features that a head sees."""
    batch = tones()
    encoder = copy.deepcopy(subject.encoder(duration_s=2)).train()
    head = nn.Linear(encoder.features(batch).values.shape[-1], 2)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=2e-3)
    losses: list[float] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(100):
            loss = cross_entropy(head(encoder.features(batch).values.mean(dim=1)), batch["label"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
            if losses[-1] < 0.1 * losses[0]:
                return
    raise AssertionError(f"the loss went from {losses[0]:.3f} to {losses[-1]:.3f}")


def objectives_train_it(subject: Subject) -> None:
    """An objective that masks tokens trains every encoder of tokens; it refuses the others before anything is built."""
    asked = [MaskedConfig(target="signal"), *(m() for m in members(AnyObjectiveConfig) if _name(m) == "mae")]
    for choice in asked:
        config = choice
        if not _takes(config, subject):
            config = choice.model_copy(update={"allow_leaks": True})
            if not subject.light.leaks or not _takes(config, subject):
                continue
        objective = build_seeded(config, 0, WindowBackbone(copy.deepcopy(subject.encoder()), subject.spec()))
        assert isinstance(objective, Objective)
        objective.train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            loss = objective(in_microvolts(make_batch(n_windows=3)), Context()).loss
        assert torch.isfinite(loss)
        loss.backward()
        _assert_learning(objective)


def _name(config: type[ObjectiveConfig]) -> str:
    return str(config.model_fields["name"].default)


def _takes(config: ObjectiveConfig, subject: Subject) -> bool:
    """Whether the objective takes the encoder, which must be whether it can train it."""
    traits = subject.traits
    is_leak = bool(subject.config.leaks) and not getattr(config, "allow_leaks", True)
    if traits.output != "window" and (traits.supports_visible or not config.needs_visible) and not is_leak:
        config.check_encoder(EncoderFacts.of(subject.config))
        return True
    with pytest.raises(ValueError, match=subject.config.name):
        config.check_encoder(EncoderFacts.of(subject.config))
    return False


class _NeedsVisible(ObjectiveConfig):
    needs_visible = True
    name: str = "needs_visible"


def visible_only_is_refused_early(subject: Subject) -> None:
    """An objective that encodes visible tokens only takes encoders that can, and no others."""
    assert _takes(_NeedsVisible(), subject) == subject.traits.supports_visible


@torch.no_grad()
def bf16(subject: Subject) -> None:
    """Autocast on the CPU stays close to float32, where the processor computes right with it at all."""
    check_bfloat16(torch.device("cpu"))
    encoder, batch = subject.encoder(is_default=True), make_batch()
    expected = encoder(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = encoder(batch).float()
    error = float((found - expected).norm() / expected.norm())
    assert error < subject.case.bf16_error, error


@torch.no_grad()
def float64(subject: Subject) -> None:
    """Double precision works, and float32 is close to it."""
    encoder, batch = subject.encoder(), make_batch()
    double = with_signal(batch, batch["signal"].double())
    double["channel_positions"] = batch["channel_positions"].double()
    found = copy.deepcopy(encoder).double()(double)
    assert deviation(encoder(batch).double(), found.double()) < CLOSE


@torch.no_grad()
def compiles(subject: Subject) -> None:
    """``torch.compile`` makes one graph, or breaks it as often as the case says."""
    encoder, batch = subject.encoder(), make_batch()
    torch.compiler.reset()
    if not subject.case.n_breaks:
        compiled = torch.compile(encoder, backend="eager", fullgraph=True)
        assert deviation(compiled(batch), encoder(batch)) < CLOSE
        return
    found = torch._dynamo.explain(encoder)(batch)
    assert found.graph_break_count == subject.case.n_breaks, [str(reason.reason) for reason in found.break_reasons]


class _Forward(nn.Module):
    """What a runtime calls: tensors in, vectors out."""

    def __init__(self, encoder: Encoder, montage: str) -> None:
        super().__init__()
        self.encoder, self.montage = encoder, montage

    def forward(self, signal: Tensor, positions: Tensor) -> Tensor:
        B, C = signal.shape[:2]
        batch = with_signal(make_batch(n_windows=1), signal)
        batch |= {"channel_positions": positions.expand(B, -1, -1), "montage": self.montage}
        batch["channel_mask"] = torch.ones(1, 1, dtype=torch.bool).expand(B, C)
        encoded: Tensor = self.encoder(batch)
        return encoded


@torch.no_grad()
def exports(subject: Subject) -> None:
    """``torch.export`` gives a program that computes the same."""
    batch, other = make_batch(), make_batch(seed=1)
    forward = _Forward(subject.encoder(), batch["montage"]).eval()
    positions = batch["channel_positions"][:1].clone()
    with warnings.catch_warnings():
        # torch's recurrent layers lay their weights out anew while they are traced, and say so.
        warnings.filterwarnings("ignore", "The tensor attributes .*_flat_weights", UserWarning)
        program = torch.export.export(forward, (batch["signal"], positions), strict=False)
    assert deviation(program.module()(other["signal"], positions), forward(other["signal"], positions)) < CLOSE


CHECKS = {
    check.__name__: check
    for check in (
        no_random_state,
        gradients,
        flat_windows,
        state_in_a_file,
        overfits_eight_windows,
        objectives_train_it,
        visible_only_is_refused_early,
        bf16,
        float64,
        compiles,
        exports,
    )
}
