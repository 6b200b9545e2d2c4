"""The contract itself: encoders that keep it pass, and every promise that is broken is found."""

import pytest

from contracts import bad_channel_checks, depth_checks, encoder_checks, encoder_training, masked_content
from contracts.encoder_cases import Case, Subject
from contracts.fake_encoders import (
    FAKES,
    FakeConfig,
    OrderedFakeConfig,
    PatchFakeConfig,
    TiedPatchFakeConfig,
    TokenFakeConfig,
    VisibleFakeConfig,
    WindowFakeConfig,
)
from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint
from eegfm.encoders.base import Encoder
from eegfm.encoders.load import PREFIX, new_encoder
from eegfm.nn.weights import load_weights

CHECKS = {
    **encoder_checks.CHECKS,
    **encoder_training.CHECKS,
    **masked_content.CHECKS,
    **bad_channel_checks.CHECKS,
    **depth_checks.CHECKS,
}
BROKEN = [
    ("too_wide", VisibleFakeConfig, "shapes"),
    ("changes_its_input", TokenFakeConfig, "shapes"),
    ("undescribed", PatchFakeConfig, "describes_itself"),
    ("padding_seen", TokenFakeConfig, "features"),
    ("any_montage", TiedPatchFakeConfig, "refuses_what_it_is_not_made_for"),
    ("any_length", WindowFakeConfig, "refuses_what_it_is_not_made_for"),
    ("broken_patches", OrderedFakeConfig, "refuses_broken_patches"),
    ("leaking_patches", VisibleFakeConfig, "tokens_hold_their_patch"),
    ("leaking_patches", VisibleFakeConfig, "masked_content_stays_masked"),
    ("leaking_patches", PatchFakeConfig, "masked_content_stays_masked"),
    ("leaks_in_training", TokenFakeConfig, "masked_content_stays_masked"),
    ("ordered", TokenFakeConfig, "order_of_channels"),
    ("constant", OrderedFakeConfig, "order_of_channels"),
    ("padding_seen", VisibleFakeConfig, "padding_changes_nothing"),
    ("padding_seen", TiedPatchFakeConfig, "padding_changes_nothing"),
    ("constant", PatchFakeConfig, "padding_changes_nothing"),
    ("padding_seen", PatchFakeConfig, "padding_is_as_if_absent"),
    ("padding_seen", TokenFakeConfig, "features_see_no_bad_channel"),
    ("padding_seen", WindowFakeConfig, "features_see_no_bad_channel"),
    ("padding_scored", VisibleFakeConfig, "objectives_ask_for_no_bad_channel"),
    ("windows_mixed", WindowFakeConfig, "windows_are_apart"),
    ("one_place_for_all", TokenFakeConfig, "positions_may_be_shared"),
    ("timeless", OrderedFakeConfig, "time_matters"),
    ("visible_sees_all", VisibleFakeConfig, "visible_subset"),
    ("visible_ignored", TokenFakeConfig, "visible_subset"),
    ("visible_ignored", WindowFakeConfig, "visible_subset"),
    ("unseeded", TokenFakeConfig, "no_random_state"),
    ("dead_weight", WindowFakeConfig, "gradients"),
    ("no_gradient", PatchFakeConfig, "gradients"),
    ("divides_by_sd", TokenFakeConfig, "flat_windows"),
    ("forgotten_state", OrderedFakeConfig, "state_in_a_file"),
    ("constant", WindowFakeConfig, "overfits_eight_windows"),
    ("no_gradient", VisibleFakeConfig, "objectives_train_it"),
    ("imprecise", TokenFakeConfig, "bf16"),
    ("imprecise", TokenFakeConfig, "float64"),
    ("graph_break", VisibleFakeConfig, "compiles"),
    ("branches_on_data", VisibleFakeConfig, "exports"),
    ("depth_twice", PatchFakeConfig, "depth_groups"),
    ("depth_upside_down", WindowFakeConfig, "depth_groups"),
    ("embedding_in_a_layer", TokenFakeConfig, "depth_groups"),
    ("layer_in_the_embedding", TokenFakeConfig, "depth_groups"),
    ("keeps_weights", TokenFakeConfig, "lora_targets"),
    ("half_heard", TokenFakeConfig, "lora"),
    ("depth_twice", PatchFakeConfig, "layer_features"),
    ("one_linear_missing", TokenFakeConfig, "lora_targets"),
]


def keeps(config: FakeConfig, check: str) -> None:
    """Run one check on a fake, whose configuration no menu knows."""
    subject = Subject(Case("fake", "fake"), config)

    def rebuild(checkpoint: Checkpoint) -> Encoder:
        header = checkpoint.header
        encoder = new_encoder(type(config)(**header.encoder), SignalSpec.from_dict(header.encoder_spec), seed=9)
        load_weights(encoder, checkpoint.tensors, PREFIX, "encoder")
        return encoder.eval()

    more = {"rebuild": rebuild} if check == "state_in_a_file" else {}
    CHECKS[check](subject, **more)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("member", FAKES, ids=lambda m: m.__name__)
def test_a_good_encoder_passes(member: type[FakeConfig], check: str) -> None:
    keeps(member(), check)


@pytest.mark.parametrize(("flaw", "member", "check"), BROKEN, ids=lambda v: getattr(v, "__name__", v))
def test_a_flaw_is_found(flaw: str, member: type[FakeConfig], check: str) -> None:
    with pytest.raises((AssertionError, RuntimeError, pytest.fail.Exception)):
        keeps(member(flaw=flaw), check)


def test_every_check_can_fail() -> None:
    assert {check for _, _, check in BROKEN} | {"visible_only_is_refused_early"} == set(CHECKS)
