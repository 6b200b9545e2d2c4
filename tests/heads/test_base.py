"""Grids of encoded tokens, and what a head is built for."""

from dataclasses import replace

import pytest
import torch

from contracts.encoder_cases import MONTAGES, make_batch, spec_of
from eegfm.batch import SignalSpec
from eegfm.encoders.base import Encoded, Encoder, Features
from eegfm.encoders.config import EegnetConfig, FembaConfig, LabramConfig, LunaConfig, PatchTransformerConfig
from eegfm.encoders.load import new_encoder
from eegfm.encoders.traits import EncoderConfig
from eegfm.errors import ConfigError
from eegfm.heads.base import TokenGrid, build_head, grid_of, head_spec
from eegfm.heads.config import LinearConfig, MlpConfig
from eegfm.targets import TargetSpec

TARGET = TargetSpec.of_classes("abc")
SMALL = {"d_model": 32, "head_size": 16, "n_layers": 1}
NAMES = MONTAGES[19].channel_names


def encoder_of(config: EncoderConfig, spec: SignalSpec) -> Encoder:
    return new_encoder(config, spec, seed=0).eval()


SHAPES = [
    (PatchTransformerConfig.model_validate({**SMALL, "patch_s": 0.5}), 19, 8, NAMES, False),
    (
        PatchTransformerConfig.model_validate({**SMALL, "patch_s": 0.5, "n_registers": 1, "summary": "register"}),
        19,
        8,
        NAMES,
        True,
    ),
    (LabramConfig(n_layers=1), 19, 4, NAMES, False),
    (LabramConfig(n_layers=1, summary="cls"), 19, 4, NAMES, True),
    (LunaConfig(n_layers=1, n_queries=2), 1, 20, (), False),
    (FembaConfig(n_layers=1, d_token=4), 1, 50, (), False),
    (EegnetConfig(), 1, 1, (), False),
]


@pytest.mark.parametrize(("config", "n_rows", "n_patches", "names", "has_summary"), SHAPES)
def test_a_head_is_built_for_what_the_encoder_gives(
    config: EncoderConfig, n_rows: int, n_patches: int, names: tuple[str, ...], *, has_summary: bool
) -> None:
    signal_spec = spec_of([MONTAGES[19]], 4)
    encoder = encoder_of(config, signal_spec)
    spec = head_spec(encoder, signal_spec, TARGET)
    assert (spec.n_rows, spec.n_patches, spec.row_names, spec.has_summary) == (n_rows, n_patches, names, has_summary)
    batch = make_batch()
    mask = torch.ones(2, 19, dtype=torch.bool)
    mask[1, [3, 4, 5]] = False
    for windows in (batch, {**batch, "channel_mask": mask}):
        encoded = encoder.encode_with_features(windows)
        grid = grid_of(encoded)
        assert grid.vectors.shape == (2, n_rows, n_patches, spec.d_model)
        assert torch.equal(grid.vectors.flatten(1, 2), encoded.vectors)
        assert torch.equal(grid.mask, windows["channel_mask"] if n_rows == 19 else torch.ones(2, 1, dtype=torch.bool))
        assert (grid.summary is not None) == has_summary
        if grid.summary is not None:
            assert torch.equal(grid.summary, encoded.features.pooled)
        else:  # the mean of the tokens is what closed-form probes read
            torch.testing.assert_close(grid.over_rows.mean(dim=1), encoded.features.pooled)
        head = build_head(LinearConfig(pooling="cls" if has_summary else "mean"), spec, seed=0).eval()
        assert head(grid).shape == (2, 3)
        assert build_head(MlpConfig(pooling="flatten"), spec, seed=0)(grid).shape == (2, 3)


def test_montages_that_differ_have_no_rows_in_common() -> None:
    config = PatchTransformerConfig.model_validate(SMALL)
    both = spec_of([MONTAGES[19], MONTAGES[64]], 4)
    spec = head_spec(encoder_of(config, both), both, TARGET)
    assert (spec.n_rows, spec.row_names) == (None, ())
    # As many channels, but others: their rows are not those of the first.
    other = replace(MONTAGES[19], channel_names=tuple(reversed(NAMES)))
    named = replace(both, montages={"a": MONTAGES[19], "b": other}, n_samples={"a": 800, "b": 400})
    spec = head_spec(encoder_of(config, named), named, TARGET)
    assert (spec.n_rows, spec.n_patches) == (None, None)
    luna = LunaConfig(n_layers=1)
    assert head_spec(encoder_of(luna, both), both, TARGET).n_rows == 1


def test_a_grid_hides_padding() -> None:
    vectors = torch.arange(12.0).view(1, 3, 2, 2)
    grid = TokenGrid(vectors, torch.tensor([[True, False, True]]))
    tokens, mask = grid.tokens
    assert tokens[0].tolist() == [[0, 1], [2, 3], [0, 0], [0, 0], [8, 9], [10, 11]]
    assert mask.tolist() == [[True, True, False, False, True, True]]
    assert grid.over_rows[0].tolist() == [[4, 5], [6, 7]]
    assert not TokenGrid(vectors, torch.zeros(1, 3, dtype=torch.bool)).over_rows.any()


def test_vectors_that_are_no_rows_are_our_mistake() -> None:
    features = Features(torch.zeros(1, 2, 3), torch.ones(1, 2, dtype=torch.bool))
    with pytest.raises(AssertionError, match="5 vectors are no 2 rows"):
        grid_of(Encoded(torch.zeros(1, 5, 3), features))


def test_nothing_asked_is_refused() -> None:
    spec = head_spec(encoder_of(EegnetConfig(), spec_of([MONTAGES[19]], 4)), spec_of([MONTAGES[19]], 4), TARGET)
    with pytest.raises(ConfigError, match="this task is unlabelled; give the task labels"):
        build_head(MlpConfig(), replace(spec, target=TargetSpec("unlabelled")), seed=0)
