"""Patch embeddings."""

import pytest
import torch

from eegfm.encoders.patch_transformer.patch_embedding import ConvPatchEmbedding, new_patch_embedding


@pytest.mark.parametrize("kind", ["linear", "conv"])
@pytest.mark.parametrize("n_samples", [1, 7, 50, 100, 200])
def test_every_length_becomes_a_vector(kind: str, n_samples: int) -> None:
    out = new_patch_embedding(kind, n_samples, 24)(torch.randn(2, 3, 4, n_samples))
    assert out.shape == (2, 3, 4, 24)
    assert torch.isfinite(out).all()


@pytest.mark.parametrize("kind", ["linear", "conv"])
def test_patches_do_not_see_each_other(kind: str) -> None:
    torch.manual_seed(0)
    embedding = new_patch_embedding(kind, 100, 16)
    patches = torch.randn(2, 3, 4, 100)
    changed = patches.clone()
    changed[1, 2, 3] += 1.0
    difference = (embedding(patches) - embedding(changed)).abs().amax(dim=-1)
    assert (difference > 1e-4).nonzero().tolist() == [[1, 2, 3]]
    torch.testing.assert_close(embedding(patches[1, 2]), embedding(patches)[1, 2])


@torch.no_grad()
def test_convolutions_keep_the_amplitude() -> None:
    """Group norms would take it away; see how little of it gets through them."""
    torch.manual_seed(0)
    embedding = ConvPatchEmbedding(100, 16)
    patches = torch.randn(64, 100)
    maps = [embedding.convolutions(a * patches.unsqueeze(1)).std() for a in (5.0, 10.0)]
    assert float(maps[1] / maps[0]) == pytest.approx(1.0, abs=0.05)
    spread = [embedding(a * patches).std() for a in (5.0, 10.0)]
    assert float(spread[1] / spread[0]) > 1.7
