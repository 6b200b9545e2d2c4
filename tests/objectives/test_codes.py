"""A trained tokenizer comes back from its checkpoint, frozen, for windows whose tokens are its own."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from checkpoints import header
from contracts.encoder_cases import MONTAGES, noise, spec_of
from contracts.objective_cases import HEADS, labels_of
from eegfm.adapters.config import InterpolateConfig, NoAdapterConfig
from eegfm.batch import SignalSpec, StoredBatch
from eegfm.checkpoint import Checkpoint
from eegfm.encoders.config import LabramConfig, PatchTransformerConfig
from eegfm.errors import CheckpointError, ConfigError
from eegfm.inference.backbone import Backbone, new_backbone
from eegfm.nn.context import Context
from eegfm.objectives.codes import check_tokens, codes_of
from eegfm.objectives.config import MaskedConfig, TokenizerConfig
from eegfm.objectives.tokenizer.model import Tokenizer
from eegfm.training.tensors import checkpoint_tensors

SPEC = spec_of([MONTAGES[19], MONTAGES[21]], 2)
ENCODER = LabramConfig(n_maps=4, n_heads=5, n_layers=1)
CONFIG = TokenizerConfig(n_codes=16, d_code=8, n_decoder_layers=1, auxiliary=HEADS)  # which have no say in a code


def backbone(encoder: Any, spec: SignalSpec = SPEC, adapter: Any = None) -> Backbone:
    return new_backbone(encoder, adapter or NoAdapterConfig(), spec, 0, reference="average", bad_channels="mask")


def stored(n_channels: int) -> StoredBatch:
    return {
        "samples": (1000 * noise((3, 400, n_channels), 1)).to(torch.int16),
        "scales_uv": torch.full((3, n_channels), 0.02),
        "recording": torch.arange(3),
        "corpus": "tuh",
        "montage": MONTAGES[n_channels].name,
    }


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokenizer = Tokenizer(CONFIG, backbone(ENCODER), labels=labels_of(CONFIG))
    tokenizer.setup([stored(19), stored(21)], Context())
    return tokenizer.eval()


@pytest.fixture(scope="module")
def checkpoint(trained: Tokenizer) -> Checkpoint:
    made = header(
        encoder=ENCODER.model_dump(mode="json"),
        objective=CONFIG.model_dump(mode="json"),
        normalization=ENCODER.default_normalization.model_dump(mode="json"),
        signal_spec=SPEC.to_dict(),
        encoder_spec=trained.backbone.encoder_spec.to_dict(),
        phase="tokenizer",
    )
    return Checkpoint(checkpoint_tensors(trained), made)


def test_codes_are_those_of_the_trained_one(trained: Tokenizer, checkpoint: Checkpoint) -> None:
    found = codes_of(checkpoint, SPEC)
    assert not found.training
    assert not any(parameter.requires_grad for parameter in found.parameters())
    for n_channels in (19, 21):
        codes = found.codes(stored(n_channels))
        assert codes.shape == (3, 2 * n_channels)
        assert torch.equal(codes, trained.codes(stored(n_channels)))
        assert codes.unique().numel() > 4
    assert found.n_codes == 16


def test_a_montage_that_it_has_not_met_has_codes_too(checkpoint: Checkpoint) -> None:
    other = spec_of([MONTAGES[64]], 2)
    assert codes_of(checkpoint, other).codes(stored(64)).shape == (3, 128)


def test_other_weights_give_other_codes_and_missing_ones_none(trained: Tokenizer, checkpoint: Checkpoint) -> None:
    name = "objective.tokenizer.quantizer.codebook"
    turned = replace(checkpoint, tensors={**checkpoint.tensors, name: checkpoint.tensors[name][::-1].copy()})
    assert torch.equal(15 - codes_of(turned, SPEC).codes(stored(19)), trained.codes(stored(19)))
    without = replace(checkpoint, tensors={k: v for k, v in checkpoint.tensors.items() if k != name})
    with pytest.raises(CheckpointError, match=r"quantizer\.codebook.*kedro run --pipelines=tokenizer"):
        codes_of(without, SPEC)


def test_another_encoder_is_no_tokenizer(checkpoint: Checkpoint) -> None:
    masked = checkpoint.header.model_copy(update={"objective": MaskedConfig().model_dump(mode="json")})
    with pytest.raises(CheckpointError, match=r"was trained with objective masked; .*--pipelines=tokenizer"):
        codes_of(replace(checkpoint, header=masked), SPEC)


def test_tokens_must_be_the_same(checkpoint: Checkpoint) -> None:
    tokenizer = codes_of(checkpoint, SPEC)
    small = {"d_model": 16, "head_size": 8, "n_layers": 1}
    check_tokens(tokenizer, backbone(PatchTransformerConfig(**small)))
    with pytest.raises(ConfigError, match=r"patches of 200 samples, the encoder of 100.*patch_samples=100"):
        check_tokens(tokenizer, backbone(PatchTransformerConfig(patch_s=0.5, **small)))
    adapted = backbone(PatchTransformerConfig(**small), adapter=InterpolateConfig(montage="1010_64"))
    with pytest.raises(ConfigError, match=r"have 19 channels behind .* of the tokenizer, and 64 other ones"):
        check_tokens(tokenizer, adapted)
