"""What each corpus adds to a gradient, against gradients of one corpus alone in double precision."""

import pytest
import torch
from torch import nn

from eegfm.training.logs.gradients import GradientNorms


class Net(nn.Module):
    """A shared part, a part that only ``b`` uses, and a frozen part."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.only_b, self.frozen = nn.Linear(3, 2), nn.Linear(2, 1), nn.Linear(3, 2)
        self.frozen.requires_grad_(False)

    def loss(self, corpus: str, seed: int) -> torch.Tensor:
        dtype = self.shared.weight.dtype
        x = torch.randn(5, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)
        hidden = self.shared(x) + self.frozen(x)
        return self.only_b(hidden).square().mean() if corpus == "b" else hidden.exp().mean()


@pytest.mark.parametrize("corpora", ["a", "ab", "ba", "aabb", "abab", "bbab"])
def test_norms_are_those_of_one_corpus_alone(corpora: str) -> None:
    torch.manual_seed(0)
    net = Net()
    looked = GradientNorms(net.parameters(), list(corpora))
    for seed, corpus in enumerate(corpora):
        net.loss(corpus, seed).backward()
        looked.look()
    expected: dict[str, float] = {}
    groups = [list(group) for group in _groups(corpora)]
    net.double()
    for group in groups:
        net.zero_grad()
        for seed in group:
            net.loss(corpora[seed], seed).backward()
        squares = [p.grad.square().sum() for p in net.parameters() if p.grad is not None]
        corpus = corpora[group[0]]
        expected[corpus] = expected.get(corpus, 0.0) + float(torch.stack(squares).sum().sqrt())
    assert {corpus: float(norm) for corpus, norm in looked.norms.items()} == pytest.approx(expected, rel=1e-5)


def _groups(corpora: str) -> list[list[int]]:
    groups: list[list[int]] = []
    for k, corpus in enumerate(corpora):
        if groups and corpora[groups[-1][-1]] == corpus:
            groups[-1].append(k)
        else:
            groups.append([k])
    return groups


def test_norms_are_of_the_means_over_processes() -> None:
    """Two processes with the same gradients up to their sign: their means are zero."""
    net = Net()
    looked = GradientNorms(net.parameters(), ["a", "b"], lambda values: values - values)
    plain = GradientNorms(net.parameters(), ["a", "b"], lambda values: values)
    alone = GradientNorms(net.parameters(), ["a", "b"])
    for seed, corpus in enumerate("ab"):
        net.loss(corpus, seed).backward()
        for norms in (looked, plain, alone):
            norms.look()
    assert {corpus: float(norm) for corpus, norm in looked.norms.items()} == {"a": 0.0, "b": 0.0}
    assert float(plain.norms["b"]) == pytest.approx(float(alone.norms["b"]))


def test_gradients_stay_what_they_are_and_one_corpus_needs_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    net, alone = Net(), Net()
    alone.load_state_dict(net.state_dict())
    looked = GradientNorms(net.parameters(), ["a", "b", "b"])
    for seed, corpus in enumerate("abb"):
        net.loss(corpus, seed).backward()
        looked.look()
        alone.loss(corpus, seed).backward()
    for p, q in zip(net.parameters(), alone.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None)
        assert p.grad is None or torch.equal(p.grad, q.grad)

    monkeypatch.setattr(torch.Tensor, "clone", lambda *_, **__: pytest.fail("a copy"))
    one = GradientNorms(net.parameters(), ["b", "b"])
    for seed in (0, 1):
        net.loss("b", seed).backward()
        one.look()
    assert set(one.norms) == {"b"}


def test_a_weight_that_this_process_has_no_gradient_of_counts_as_zero() -> None:
    """All processes exchange as many values, whichever weights they have used."""
    net = Net()
    sizes: list[int] = []

    def reduce(values: torch.Tensor) -> torch.Tensor:
        sizes.append(values.numel())
        return values

    looked, plain = GradientNorms(net.parameters(), ["a", "b"], reduce), GradientNorms(net.parameters(), ["a", "b"])
    for seed, corpus in enumerate("ab"):
        net.loss(corpus, seed).backward()
        looked.look()
        plain.look()
    assert sizes == [sum(p.numel() for p in net.parameters() if p.requires_grad)] * 2
    assert {c: float(v) for c, v in looked.norms.items()} == pytest.approx(
        {c: float(v) for c, v in plain.norms.items()}
    )
