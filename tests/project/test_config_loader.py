"""Merging parameters: what another choice of a menu leaves of the one before it."""

from pathlib import Path
from typing import Any

import pytest

from eegfm.project.config_loader import ConfigLoader, drop_replaced

BASE = """
pretrain:
  encoder: {name: patch_transformer, d_model: 48}
  optimizer: {name: adamw, learning_rate: 0.1}
  n_steps: 10
hbn:
  window: {cuts: {rest: {name: hbn_rest, length_s: 2}}}
"""
ENVIRONMENT = """
pretrain:
  encoder: {name: luna, size: large}
  n_steps: 20
"""


def load(folder: Path, env: str, runtime: dict[str, Any] | None = None) -> dict[str, Any]:
    for name, text in (("base", BASE), ("big", ENVIRONMENT), ("local", "{}")):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "parameters.yml").write_text(text)
    loader = ConfigLoader(
        str(folder),
        env=env,
        base_env="base",
        default_run_env="local",
        runtime_params=runtime,
        merge_strategy={"parameters": "soft"},
    )
    loaded: dict[str, Any] = loader["parameters"]
    return loaded


def test_the_same_member_is_merged(tmp_path: Path) -> None:
    found = load(tmp_path, "local", {"pretrain": {"encoder": {"n_layers": 2}}})["pretrain"]
    assert found["encoder"] == {"name": "patch_transformer", "d_model": 48, "n_layers": 2}
    named = load(tmp_path, "local", {"pretrain": {"encoder": {"name": "patch_transformer"}}})["pretrain"]
    assert named["encoder"] == {"name": "patch_transformer", "d_model": 48}


def test_an_environment_replaces_a_member_whole_and_nothing_else(tmp_path: Path) -> None:
    found = load(tmp_path, "big")
    assert found["pretrain"] == {
        "encoder": {"name": "luna", "size": "large"},
        "optimizer": {"name": "adamw", "learning_rate": 0.1},
        "n_steps": 20,
    }
    assert found["hbn"]["window"]["cuts"]["rest"] == {"name": "hbn_rest", "length_s": 2}


@pytest.mark.parametrize("env", ["local", "big"])
def test_the_command_line_replaces_a_member_of_any_environment(tmp_path: Path, env: str) -> None:
    assert load(tmp_path, env, {"pretrain": {"encoder": {"name": "gru"}}})["pretrain"]["encoder"] == {"name": "gru"}


def test_options_of_the_command_line_go_to_the_member_that_is_chosen(tmp_path: Path) -> None:
    found = load(tmp_path, "big", {"pretrain": {"encoder": {"depth": 3}}})["pretrain"]["encoder"]
    assert found == {"name": "luna", "size": "large", "depth": 3}


def test_members_inside_members_are_found() -> None:
    earlier = {"a": {"b": {"c": {"name": "x", "k": 1}, "d": 2}, "e": {"name": "y"}}}
    drop_replaced(earlier, {"a": {"b": {"c": {"name": "z"}, "d": {"name": "x"}}, "e": {"name": "y"}, "f": 1}})
    assert earlier == {"a": {"b": {"d": 2}, "e": {"name": "y"}}}
