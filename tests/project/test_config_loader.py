"""Layers of the configuration: what a later one leaves of those before it, and mistakes in one line."""

import copy
from pathlib import Path
from typing import Any

import pytest

from eegfm.errors import ConfigError
from eegfm.project.config_loader import ConfigLoader, merged
from eegfm.settings import CONFIG_LOADER_ARGS
from kedro_project import PROJECT_ROOT

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
    later = {"a": {"b": {"c": {"name": "z"}, "d": {"name": "x"}}, "e": {"name": "y"}, "f": 1}}
    assert merged(earlier, later) == {"a": {"b": {"c": {"name": "z"}, "d": {"name": "x"}}, "e": {"name": "y"}, "f": 1}}


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        ({"a": {"b": {"k": 1}, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({"a": {"b": {}}}, {"a": {"b": None}}, {"a": {}}),
        ({"a": {"b": {}}}, {"a": None}, {}),
        ({"a": {"b": 3, "c": [1], "d": None}}, {"a": {"b": None, "c": None, "d": None}}, None),
        ({"a": 1}, {"a": {"b": None}}, {"a": {"b": None}}),
        ({"a": {"name": "x", "k": 1}}, {"a": {"name": None}}, {"a": {"name": None}}),
    ],
)  # fmt: skip
def test_null_drops_a_mapping_and_is_none_over_all_else(
    earlier: dict[str, Any], later: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    before = copy.deepcopy(earlier)
    assert merged(earlier, later) == (later if expected is None else expected)
    assert earlier == before, "layers stay as they are"


CUT = {"hbn": {"window": {"cuts": {"rest": None}}}}


def test_an_entry_of_base_is_dropped_by_an_environment_or_the_command_line(tmp_path: Path) -> None:
    assert load(tmp_path, "local", CUT)["hbn"]["window"]["cuts"] == {}
    assert load(tmp_path, "big", CUT)["hbn"]["window"]["cuts"] == {}
    (tmp_path / "big" / "parameters_more.yml").write_text("hbn: {window: {cuts: {rest: null, all: {name: fixed}}}}")
    assert load(tmp_path, "big")["hbn"]["window"]["cuts"] == {"all": {"name": "fixed"}}
    again = {"hbn": {"window": {"cuts": {"rest": {"name": "fixed"}}}}}
    assert load(tmp_path, "big", again)["hbn"]["window"]["cuts"]["rest"] == {"name": "fixed"}, "nothing of base is left"
    assert "hbn" not in load(tmp_path, "big", {"hbn": None})


def loader(folder: Path, files: dict[str, str], given: dict[str, Any] | None = None) -> ConfigLoader:
    """The project's own loader over ``base`` and ``mine``."""
    for path, text in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    (folder / "base").mkdir(exist_ok=True)
    return ConfigLoader(str(folder), env="mine", runtime_params=given, **CONFIG_LOADER_ARGS)


def read_all(config: ConfigLoader) -> None:
    for key in ("parameters", "catalog"):
        config[key]


def test_globals_are_dropped_too_and_references_see_what_wins(tmp_path: Path) -> None:
    files = {
        "base/globals.yml": "raw: {a: {x: 1}, b: 2}\n_hidden: 1\n",
        "mine/globals.yml": "raw: {a: null, b: 3}\n",
        "base/parameters.yml": "seed: 1\nother: ${seed}\nshared: ${globals:raw.b}\n",
        "mine/parameters.yml": "seed: 2\n",
    }
    found = loader(tmp_path, files)
    assert found["globals"] == {"raw": {"b": 3}}
    parameters = found["parameters"]
    assert {k: parameters[k] for k in ("seed", "other", "shared")} == {"seed": 2, "other": 2, "shared": 3}


def test_a_catalog_entry_is_dropped_and_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("MY_EEG", "~/eeg")
    files = {
        "base/catalog.yml": "report: {type: text.TextDataset, filepath: x}\nkept: {type: a.B, filepath: ~/kept}\n",
        "mine/catalog.yml": 'report: null\nown: {type: a.B, path: "${env:MY_EEG}", title: ~/title}\n',
    }
    assert loader(tmp_path, files)["catalog"] == {
        "kept": {"type": "a.B", "filepath": "/home/me/kept"},
        "own": {"type": "a.B", "path": "/home/me/eeg", "title": "~/title"},
    }


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"mine/catalog.yml": "a: {path: ~no_such_user/x}"}, r"catalog\.a\.path: ~no_such_user/x names no home folder"),
        (
            {"mine/catalog.yml": 'a: {path: "${globals:raw.a}"}'},
            r"catalog, a\.path: Globals key 'raw\.a' not found .*; give it a value in globals\.yml",
        ),
        ({"mine/parameters.yml": "a: {b: '${c.d}'}"}, r"parameters, a\.b: Interpolation key 'c\.d' not found"),
        ({"mine/parameters.yml": "a: ${what:x}"}, "parameters, a: Unsupported interpolation type what"),
        ({"mine/parameters.yml": "a: ${env:EEGFM_NOT_SET}"}, "environment variable EEGFM_NOT_SET is not set"),
        ({"mine/globals.yml": "a: ${env:EEGFM_NOT_SET}"}, "environment variable EEGFM_NOT_SET is not set"),
        ({"base/parameters.yml": "a: 1", "base/parameters_b.yml": "a: 2"}, "Duplicate keys .*: a; keep them in one"),
        ({"other/parameters.yml": "a: 1"}, r"there is no folder .*/mine; --env takes a folder under .*: base, other"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    given = files if "other/parameters.yml" in files else {"mine/parameters.yml": "x: 1", **files}
    with pytest.raises(ConfigError, match=expected) as info:
        read_all(loader(tmp_path, {"base/catalog.yml": "", **given}))
    assert "\n" not in str(info.value)


def test_blocks_that_are_left_out_have_their_defaults(tmp_path: Path) -> None:
    files = {"base/parameters.yml": "mine: {ingest: {}, window: {}}\nthu: {ingest: {}}\n", "mine/x": ""}
    found = loader(tmp_path, files)["parameters"]
    assert found["mine"] == {"ingest": {}, "window": {}, "acquire": {}}
    assert found["thu"] == {"ingest": {}}, "no corpus, and refused later"
    assert found["signal"] == found["split"] == {}
    assert not {"probe", "corpora"} & found.keys(), "these have no defaults"


PHASES = """
phases: [pretrain, contrast]
pretrain: {n_steps: 10, reference: as_recorded}
contrast: {n_steps: 5}
"""


@pytest.mark.parametrize(
    ("mine", "given", "expected"),
    [
        ("", {}, {"pretrain", "contrast"}),
        ("phases: [pretrain]", {}, {"pretrain"}),
        ("", {"phases": ["pretrain"]}, {"pretrain"}),
        ("phases: [pretrain]", {"phases": ["pretrain", "contrast"]}, {"pretrain"}),
        ("phases: [contrast]", {}, {"contrast"}),
        ("phases: [pretrain, adapt]\nadapt: {n_steps: 3}", {}, {"pretrain", "adapt"}),
        ("phases: [pretrain, adapt]\nadapt: {n_steps: 3}", {"phases": ["pretrain"]}, {"pretrain"}),
        ("phases: [pretrain]\ncontrast: {n_steps: 3}", {}, {"pretrain", "contrast"}),  # unlisted, and refused later
        ("phases: [pretrain]\ncontrast: null", {}, {"pretrain"}),
        ("phases: pretrain", {}, {"pretrain", "contrast"}),  # so is what is no list
        ("phases: []", {}, {"pretrain", "contrast"}),
    ],
)
def test_a_later_list_of_phases_drops_blocks(
    tmp_path: Path, mine: str, given: dict[str, Any], expected: set[str]
) -> None:
    files = {"base/parameters.yml": PHASES, "mine/parameters.yml": mine}
    found = loader(tmp_path, files, given)["parameters"]
    assert {"pretrain", "contrast", "adapt"} & found.keys() == expected


def test_a_list_in_one_file_and_a_block_in_another_are_one_layer(tmp_path: Path) -> None:
    files = {
        "base/parameters.yml": PHASES, "mine/parameters.yml": "phases: [pretrain]",
        "mine/parameters_a.yml": "contrast: {n_steps: 3}",
    }  # fmt: skip
    assert loader(tmp_path, files)["parameters"]["contrast"]["n_steps"] == 3


def test_a_phase_starts_from_the_one_before_it_in_the_list_that_wins(tmp_path: Path) -> None:
    adapt = "phases: [pretrain, adapt]\nadapt: {n_steps: 3}"
    found = loader(tmp_path, {"base/parameters.yml": PHASES, "mine/parameters.yml": adapt})["parameters"]
    assert found["adapt"] == {"n_steps": 3, "start": "previous", "reference": "as_recorded"}


@pytest.mark.parametrize("value", [None, "", " ", True, 5, ["a"]])
def test_a_data_folder_is_text(value: object) -> None:
    with pytest.raises(ConfigError, match=r"data is .*, and it must name the folder that the run writes into"):
        ConfigLoader(str(PROJECT_ROOT / "conf"), runtime_params={"data": value})
