"""Renaming accounts for every name."""

import numpy as np
import pytest

from eegfm.encoders.config import CbramodConfig, GruConfig, LabramConfig, LunaConfig, as_published
from eegfm.encoders.key_map import KeyMap
from eegfm.encoders.published import PUBLISHED, key_map
from eegfm.encoders.traits import EncoderConfig
from eegfm.errors import CheckpointError, ConfigError

MAP = KeyMap(
    source="somewhere",
    license="mit",
    rules=((r"blocks\.(\d+)\.w", r"layers.\1.weight"), (r"stem", "stem")),
    left_out=(r"head\..*", r"criterion\..*"),
)


def arrays(*names: str) -> dict[str, np.ndarray]:
    return {name: np.full(1, k, dtype=np.float32) for k, name in enumerate(names)}


def test_every_name_is_renamed_left_out_or_unknown() -> None:
    done = MAP.translate(arrays("blocks.10.w", "stem", "head.bias", "stems", "xstem"))
    assert {name: value[0] for name, value in done.tensors.items()} == {"layers.10.weight": 0, "stem": 1}
    assert (done.left_out, done.unknown) == (["head.bias"], ["stems", "xstem"])


@pytest.mark.parametrize("prefix", ["", "model.", "module.", "student.", "module.model.", "_orig_mod.module."])
def test_what_frameworks_put_before_names_is_dropped(prefix: str) -> None:
    done = MAP.translate(arrays(f"{prefix}stem", f"{prefix}head.w", "criterion.w", f"{prefix}odd"))
    assert list(done.tensors) == ["stem"]
    assert (done.left_out, done.unknown) == (sorted(["criterion.w", f"{prefix}head.w"]), [f"{prefix}odd"])


def test_a_prefix_that_some_names_lack_stays() -> None:
    assert MAP.translate(arrays("model.stem", "stem")).unknown == ["model.stem"]


def test_two_names_of_one_weight_are_refused() -> None:
    twice = KeyMap(source="", license="", rules=((r"(?:a|b)", "x"),))
    with pytest.raises(CheckpointError, match="published weights a and b are both x"):
        twice.translate(arrays("a", "b"))


def test_encoders_without_published_weights_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"import\.encoder\.name 'gru': no published weights are known; known: cbr"):
        key_map(GruConfig())
    assert PUBLISHED == ("cbramod", "femba", "labram", "luna")


@pytest.mark.parametrize(
    ("config", "key", "published"),
    [
        (CbramodConfig(), "patch_norm", "window"),
        (LabramConfig(), "patch_norm", "window"),
        (LunaConfig(), "patch_norm", "window"),
    ],
    ids=lambda v: getattr(v, "name", v),
)
def test_choices_other_than_the_published_are_refused(config: EncoderConfig, key: str, published: str) -> None:
    message = rf"import\.encoder\.{key} is \w+, .* weights of {config.name} were trained with {published}; leave it out"
    with pytest.raises(ConfigError, match=message):
        key_map(config)


def test_what_is_published_is_filled_in_and_what_is_named_is_kept() -> None:
    assert as_published({"name": "luna", "size": "large"}) == {"name": "luna", "size": "large", **LunaConfig.published}
    assert as_published({"name": "labram", "patch_norm": "patch"}) == {"name": "labram", "patch_norm": "patch"}
    assert as_published({"name": "femba"}) == {"name": "femba"}
    for other in ({"name": ["odd"]}, {}, None, "labram", LabramConfig()):
        assert as_published(other) == other


def test_a_head_beside_the_student_keeps_nothing_from_being_dropped() -> None:
    assert list(MAP.translate(arrays("model.student.stem", "model.head.w")).tensors) == ["stem"]
