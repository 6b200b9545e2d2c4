import torch

from eegfm.nn.electrode_embedding import ElectrodeEmbedding, derivation_ends, shared_positions


def test_places_are_told_apart_and_the_order_does_not_matter() -> None:
    torch.manual_seed(0)
    embedding = ElectrodeEmbedding(4, 16)
    places = 0.1 * torch.randn(2, 5, 3)
    out = embedding(places)
    assert out.shape == (2, 5, 16)
    torch.testing.assert_close(embedding(places.flip(1)), out.flip(1))
    torch.testing.assert_close(embedding(places[0]), out[0])
    distances = torch.cdist(out.flatten(0, 1), out.flatten(0, 1)) + torch.eye(10)
    assert distances.min() > 1e-3
    assert set(embedding.state_dict()) == {name for name, _ in embedding.named_parameters()}


def test_positions_without_copies_are_embedded_once() -> None:
    places = torch.randn(5, 3)
    assert shared_positions(places.expand(7, -1, -1)).shape == (1, 5, 3)
    assert shared_positions(places.repeat(7, 1, 1)).shape == (7, 5, 3)


def test_places_jitter_by_so_many_metres_while_training() -> None:
    embedding = ElectrodeEmbedding(4, 16, jitter_m=0.01)
    places = torch.zeros(400, 8, 3)
    seen: list[torch.Tensor] = []
    embedding.network.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    embedding(places)
    moved_m = seen[0][..., ::4][..., :3] / embedding.radians_per_m[0]  # sine of the longest wave: nearly its angle
    assert abs(float(moved_m.detach().std()) - 0.01) < 5e-4
    assert torch.equal(embedding.eval()(places), embedding(places))


def test_neighbours_are_told_apart_under_autocast() -> None:
    torch.manual_seed(0)
    embedding = ElectrodeEmbedding(4, 16)
    places = 0.09 * torch.randn(129, 3)
    expected = embedding(places)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(embedding(places), expected)


def test_both_ends_of_a_derivation_come_back() -> None:
    first, second = 0.1 * torch.randn(2, 1, 5, 3, generator=torch.Generator().manual_seed(0))
    found = derivation_ends((first + second) / 2, second)
    torch.testing.assert_close(found[0], first)
    torch.testing.assert_close(found[1], second)
