"""The Mamba block."""

import copy

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from eegfm.encoders.femba import mamba
from eegfm.encoders.femba.mamba import Mamba
from eegfm.encoders.femba.selective_scan import selective_scan
from eegfm.errors import ConfigError
from eegfm.training.optimizers.groups import decaying_parameters


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def block() -> Mamba:
    torch.manual_seed(0)
    return Mamba(24, d_state=4, d_conv=3, expand=2, scan="torch")


def sigmoid_gate(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def test_a_block_is_written_out(block: Mamba) -> None:
    """Figure 3 and algorithm 2 of arXiv 2312.00752, number by number, in float64."""
    x = noise(1, 9, 24)
    block = block.double()
    both = x[0].double() @ block.input_projection.weight.T
    u, gate = both[:, :48], both[:, 48:]
    kernel, shift = block.convolution.weight[:, 0], block.convolution.bias
    assert shift is not None
    past = torch.cat((torch.zeros(2, 48), u))
    u = sigmoid_gate(torch.stack([(past[t : t + 3].T * kernel).sum(1) + shift for t in range(9)]))
    state, outputs = torch.zeros(48, 4, dtype=torch.float64), []
    for t in range(9):
        selected = block.selection_projection.weight @ u[t]
        low_rank, B, C = selected[:2], selected[2:6], selected[6:]
        delta = torch.log1p(torch.exp(block.delta_projection.weight @ low_rank + block.delta_projection.bias))
        decay = torch.exp(-torch.exp(block.decay_log) * delta[:, None])
        state = decay * state + (delta * u[t])[:, None] * B
        outputs.append((state @ C + block.skip * u[t]) * sigmoid_gate(gate[t]))
    expected = torch.stack(outputs) @ block.output_projection.weight.T
    torch.testing.assert_close(block(x.double())[0], expected, atol=1e-12, rtol=1e-10)


def test_no_step_sees_what_comes_later(block: Mamba) -> None:
    x = noise(1, 40, 24)
    changed = x.clone()
    changed[:, 20] += 1.0
    differs = (block(x) - block(changed)).abs().amax(dim=-1)[0] > 0
    assert differs.tolist() == [False] * 20 + [True] * 20


def test_the_start_is_as_published() -> None:
    torch.manual_seed(0)
    block = Mamba(385, expand=4)
    assert block.rank == 25
    assert torch.equal(block.skip, torch.ones(1540))
    torch.testing.assert_close(block.decay_log.exp(), torch.arange(1.0, 17).expand(1540, -1))
    delta = softplus(block.delta_projection.bias.detach())
    assert 0.00099 < float(delta.min()) < 0.0011
    assert 0.095 < float(delta.max()) < 0.101
    log_uniform = (delta.log() - delta.log().min()) / (delta.log().max() - delta.log().min())
    assert abs(float(log_uniform.mean()) - 0.5) < 0.03
    weight = block.delta_projection.weight.detach().abs()
    assert 0.19 < float(weight.max()) <= 0.2
    projections = 385 * 2 * 1540 + 1540 * (25 + 2 * 16) + (25 + 1) * 1540 + 1540 * 385
    assert sum(p.numel() for p in block.parameters()) == projections + 1540 * (4 + 1) + 1540 * 16 + 1540


def test_rates_of_decay_are_not_decayed(block: Mamba) -> None:
    """A copy, as averaged weights are, keeps the exemption."""
    block = copy.deepcopy(block)
    decaying = {id(p) for p in decaying_parameters(block)}
    exempt = {id(p) for p in block.parameters()} - decaying
    assert exempt >= {id(block.decay_log), id(block.skip), id(block.delta_projection.bias)}
    assert decaying >= {id(block.input_projection.weight), id(block.delta_projection.weight)}


def test_the_kernel_runs_on_a_gpu_and_nowhere_else(block: Mamba, monkeypatch: pytest.MonkeyPatch) -> None:
    x, calls = noise(2, 10, 24), []

    def kernel(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, **others: object) -> Tensor:
        calls.append(u.shape)
        z, bias = others["z"], others["delta_bias"]
        assert isinstance(z, Tensor)
        assert isinstance(bias, Tensor)
        return selective_scan(u.mT, delta.mT, A, B.mT, C.mT, D, z.mT, bias).mT

    expected = block(x)
    block.kernel = kernel
    assert torch.equal(block(x), expected)
    assert not calls
    monkeypatch.setattr(mamba, "_on_gpu", lambda _: True)
    torch.testing.assert_close(block(x), expected)
    assert calls == [(2, 48, 10)]


def test_the_kernel_is_not_silently_replaced(block: Mamba) -> None:
    block.scan = "mamba_ssm"
    with pytest.raises(ConfigError, match=r"encoder\.scan is mamba_ssm.*on the cpu; set encoder\.scan: auto"):
        block(noise(1, 5, 24))


@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_sequences_shorter_than_the_convolution(block: Mamba, n_steps: int) -> None:
    x = noise(1, 8, 24)
    torch.testing.assert_close(block(x[:, :n_steps]), block(x)[:, :n_steps])
