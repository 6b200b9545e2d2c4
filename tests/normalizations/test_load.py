"""A normalization comes back from a checkpoint, and an encoder that lacks it does not."""

import pytest
import torch

from eegfm.encoders.config import PatchTransformerConfig
from eegfm.errors import CheckpointError
from eegfm.inference.backbone import load_backbone, untrained_backbone_like
from eegfm.inference.module import build_inference
from eegfm.normalizations.config import ZscoreConfig
from exports import checkpoint_of

ENCODER = PatchTransformerConfig(d_model=16, head_size=8, n_layers=1)
ZSCORE = ZscoreConfig(floor_uv=2.0)


def test_a_backbone_normalizes_as_its_header_says() -> None:
    default, zscore = (checkpoint_of(ENCODER, **more) for more in ({}, {"normalization": ZSCORE.model_dump()}))
    for backbone in (load_backbone(zscore), untrained_backbone_like(zscore, None, 3)):
        assert backbone.normalization.config == ZSCORE
        assert not backbone.normalization.training
        assert [leak.choice for leak in backbone.leaks] == ["zscore"]
    recorded_uv = 20 * torch.randn(2, 19, 800, generator=torch.Generator().manual_seed(0))
    loud, quiet = (build_inference(zscore)(gain * recorded_uv)[0] for gain in (3.0, 1.0))
    torch.testing.assert_close(loud, quiet, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(build_inference(default)(recorded_uv)[0], quiet, atol=1e-2)


@pytest.mark.parametrize("said", [{}, {"name": "zscore"}, {"name": "of_tomorrow"}])
def test_an_absent_or_unknown_one_is_refused(said: dict[str, str]) -> None:
    with pytest.raises(CheckpointError, match="the checkpoint's normalization"):
        load_backbone(checkpoint_of(ENCODER, normalization=said))
