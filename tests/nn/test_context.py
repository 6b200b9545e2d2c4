"""Random numbers of a training follow from their purpose, and ranks together draw what one process draws."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import dropout
from torch.utils.checkpoint import checkpoint

from eegfm.batch import rank_slice
from eegfm.nn.context import AUGMENTATION, MASKS, VIEWS, Context, Stage, objective_seed

CPU = torch.device("cpu")
CORPORA = ("hbn", "tuh")
PLACES = [
    Context(1, 10, 0, corpora=CORPORA),
    Context(2, 10, 0, corpora=CORPORA),
    Context(1, 10, 1, corpora=CORPORA),
    Context(1, 10, 0, corpora=CORPORA, stage=Stage.VALIDATION),
    Context(1, 10, 0, corpora=CORPORA, stage=Stage.RECONSTRUCTION),
]


def drawn(context: Context, purpose: int, corpus: str) -> tuple[float, ...]:
    return tuple(torch.rand(4, generator=context.generator(purpose, corpus)).tolist())


def test_place_purpose_and_corpus_decide_and_nothing_else() -> None:
    asked = [(c, p, corpus) for c in PLACES for p in (MASKS, VIEWS, AUGMENTATION) for corpus in CORPORA]
    draws = {k: drawn(*each) for k, each in enumerate(asked)}
    assert len(set(draws.values())) == len(asked)
    torch.manual_seed(99)
    assert all(drawn(*each) == draws[k] for k, each in enumerate(asked))
    further = PLACES[0].of(Stage.TRAINING, 1, rank=1, world_size=2)
    assert drawn(further, MASKS, "hbn") == draws[0], "ranks slice what is drawn"
    assert objective_seed(0) != objective_seed(1)


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_ranks_together_are_one_process(world_size: int) -> None:
    context = Context(3, 10, 7, corpora=CORPORA)
    whole = context.window_draws(MASKS, "tuh", 8)
    expected = [whole.uniform(5), whole.uniform(3)]
    parts = []
    for rank in range(world_size):
        own = context.of(Stage.TRAINING, 3, rank, world_size).window_draws(MASKS, "tuh", 8 // world_size)
        parts.append([own.uniform(5), own.uniform(3)])
    for k in range(2):
        found = torch.empty_like(expected[k])
        for rank, part in enumerate(parts):
            found[rank_slice(rank, world_size)] = part[k]
        assert torch.equal(found, expected[k])


@pytest.mark.parametrize(("world_size", "n_cuts"), [(1, 2), (1, 4), (2, 2), (4, 2)])
def test_cuts_of_a_rank_together_are_the_rank(world_size: int, n_cuts: int) -> None:
    for rank in range(world_size):
        context = Context(3, 10, 7, rank, world_size, CORPORA)
        whole = context.window_draws(MASKS, "tuh", 16 // world_size)
        expected = [whole.uniform(5), whole.uniform(3)]
        for cut in range(n_cuts):
            own = replace(context, cut=cut, n_cuts=n_cuts).window_draws(MASKS, "tuh", 16 // world_size // n_cuts)
            for values in expected:
                assert torch.equal(own.uniform(values.shape[1]), values[rank_slice(cut, n_cuts)])


@pytest.mark.parametrize("n_cuts", [1, 2])
@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_normal_numbers_of_parts_are_those_of_the_whole(world_size: int, n_cuts: int) -> None:
    context = Context(3, 10, 7, corpora=CORPORA)
    whole = context.window_draws(VIEWS, "tuh", 16)
    expected = [whole.normal(5), whole.long_normal(700), whole.normal(3)]
    shared = whole.shared_uniform(9)
    for rank in range(world_size):
        for cut in range(n_cuts):
            place = replace(context, rank=rank, world_size=world_size, cut=cut, n_cuts=n_cuts)
            own = place.window_draws(VIEWS, "tuh", 16 // world_size // n_cuts)
            found = [own.normal(5), own.long_normal(700), own.normal(3)]
            for values, all_values in zip(found, expected, strict=True):
                assert torch.equal(values, all_values[rank_slice(rank + cut * world_size, world_size * n_cuts)])
            assert torch.equal(own.shared_uniform(9), shared), "the same for all windows"


def test_normal_numbers_are_normal_and_unrelated() -> None:
    draws = Context().window_draws(VIEWS, "", 8)
    for values in (draws.normal(4000), draws.long_normal(4000), draws.normal(4000)):
        assert float(values.mean(dim=1).abs().max()) < 0.08
        assert float((values.std(dim=1) - 1).abs().max()) < 0.05
        assert float((torch.corrcoef(values) - torch.eye(8)).abs().max()) < 0.08
    shared = draws.shared_uniform(4000)
    assert 0 <= float(shared.min()) < 0.01 < 0.99 < float(shared.max()) < 1


def dropped(context: Context, corpus: str) -> tuple[float, ...]:
    with context.global_draws(CPU, corpus):
        return tuple(dropout(torch.ones(64), 0.5).tolist())


def test_dropout_follows_from_the_place_and_the_rank_and_leaves_no_trace() -> None:
    places = [*PLACES[:3], PLACES[0].of(Stage.TRAINING, 1, rank=1, world_size=2)]
    asked = [(context, corpus) for context in places for corpus in CORPORA]
    draws = [dropped(*each) for each in asked]
    assert len(set(draws)) == len(asked)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        expected = torch.rand(3)
        torch.manual_seed(99)
        assert [dropped(*each) for each in asked] == draws
        assert torch.equal(torch.rand(3), expected)


def test_global_state_comes_back_after_an_error() -> None:
    def fails() -> None:
        torch.rand(3)
        raise ValueError("on purpose")

    before = torch.random.get_rng_state()
    with pytest.raises(ValueError, match="on purpose"), Context().global_draws(CPU):
        fails()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_forward_that_is_computed_again_drops_the_same() -> None:
    x = torch.ones(64, requires_grad=True)
    with Context().global_draws(CPU):
        y = checkpoint(lambda v: dropout(v, 0.5), x, use_reentrant=False)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_those_of_a_cuda_device_too() -> None:
    device = torch.device("cuda", 0)
    before = torch.cuda.get_rng_state(device)
    draws = []
    for state in (1, 2):
        torch.cuda.manual_seed_all(state)
        with Context().global_draws(device):
            draws.append(dropout(torch.ones(64, device=device), 0.5))
    assert torch.equal(*draws)
    torch.cuda.set_rng_state(before, device)


def test_those_of_an_apple_gpu_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for its generator, which ``fork_rng`` does not know."""
    states = [torch.tensor([7])]
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: states[-1])
    monkeypatch.setattr(torch.mps, "set_rng_state", states.append)
    monkeypatch.setattr(torch.mps, "manual_seed", lambda seed: states.append(torch.tensor([seed])))
    for step in (1, 1, 2):
        with pytest.raises(KeyError), Context(step).global_draws(torch.device("mps")):
            raise KeyError
    seen = [int(state) for state in states]
    assert seen[0::2] == [7] * 4, "it comes out as it went in, also after an error"
    assert seen[1] == seen[3] != seen[5]


def test_a_corpus_that_is_none_of_the_run_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="mine is none of"):
        PLACES[0].generator(MASKS, "mine")
