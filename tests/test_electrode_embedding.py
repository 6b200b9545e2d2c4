import torch

from eegfm.electrode_embedding import ElectrodeEmbedding, shared_positions


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
