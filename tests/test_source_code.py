"""Imported code counts. Every part of the code that may decide a number counts; words do not count."""

import json
import os
from pathlib import Path

import pytest

from checkpoints import header
from eegfm import source_code
from eegfm.adapters.config import NoAdapterConfig, PerceiverConfig
from eegfm.encoders.config import LunaConfig, PatchTransformerConfig
from eegfm.errors import CheckpointError
from eegfm.inference.encoder_code import encoder_code, refuse_other_code
from eegfm.source_code import code_sha256, module_hashes
from warm_process import WarmProcess

ROOT = '''"""What it is for."""
from eegfm.room import helper

SCALE = 3  # why three


def scaled(x: float) -> float:
    """Say it."""
    if x < 0:
        raise ValueError(f"found {x}; give a number above 0")
    return helper.shifted(SCALE * x)
'''
HELPER = """def shifted(x):
    from eegfm.other import nothing

    return x + nothing()
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of three modules that import each other, one of them inside a function."""
    for name, text in {
        "root.py": ROOT,
        "room/__init__.py": "",
        "room/helper.py": HELPER,
        "other.py": "nothing = int\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(source_code, "_ROOT", tmp_path)
    return tmp_path


def changed(path: Path, old: str, new: str) -> bool:
    """Whether the hash of the root changes when this file does; the file is put back."""
    before, text = code_sha256("eegfm.root"), path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    after = code_sha256("eegfm.root")
    path.write_text(text)
    os.utime(path, ns=(1, 1))
    assert code_sha256("eegfm.root") == before
    return after != before


def test_what_is_imported_counts_at_whatever_depth(package: Path) -> None:
    assert set(module_hashes("eegfm.root")) == {"root", "room", "room.helper", "other"}
    assert set(module_hashes("eegfm.root", without=("room",))) == {"root"}
    assert changed(package / "other.py", "int", "float")
    assert not module_hashes("torch.nn", "eegfm.nowhere")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # why three", ""),
        ('"""What it is for."""\n', ""),
        ('    """Say it."""\n', '    """Say it otherwise."""\n'),
        ("helper.shifted(SCALE * x)", "(\n        helper.shifted(  # here\n            SCALE * x)\n    )"),
        ("found {x}; give a number above 0", "found {x:g}, which is below 0"),
        ("\n\n\ndef", "\ndef"),
    ],
)
def test_words_and_form_do_not_count(package: Path, old: str, new: str) -> None:
    assert not changed(package / "root.py", old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SCALE = 3", "SCALE = 4"),
        ("x < 0", "x <= 0"),
        ("SCALE * x", "x * SCALE"),
        ("SCALE * x", "SCALE**x"),
        ('    if x < 0:\n        raise ValueError(f"found {x}; give a number above 0")\n', ""),
        ("def scaled(x: float)", "def scaled(x: float, y: float = 1.0)"),
        ("helper.shifted(SCALE * x)", "helper.shifted(SCALE * x, 'text')"),
    ],
)
def test_whatever_may_decide_a_number_counts(package: Path, old: str, new: str) -> None:
    assert changed(package / "root.py", old, new)


IMPORTED = """
import importlib, json, os, sys, torch
for asked in json.loads(sys.argv[1]):
    child = os.fork()  # each imports what it needs itself, and torch only once for both
    if not child:
        for name in asked:
            importlib.import_module(name)
        ours = [name.removeprefix("eegfm.") for name in sys.modules if name.startswith("eegfm.")]
        print(json.dumps(ours), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""
FIXED_SCALE = "eegfm.normalizations.fixed_scale"
ENCODERS = [(PatchTransformerConfig(), NoAdapterConfig()), (LunaConfig(), PerceiverConfig())]


@pytest.fixture(scope="module")
def imported_for(warm: WarmProcess, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """By encoder, the modules that Python has imported for it and its adapter."""
    asked = [
        [f"eegfm.encoders.{config.name}.model", f"eegfm.adapters.{adapter.name}", "eegfm.nn.rereference", FIXED_SCALE]
        for config, adapter in ENCODERS
    ]
    done = warm.run(IMPORTED, json.dumps(asked), folder=tmp_path_factory.mktemp("imported"))
    assert done.returncode == 0, done.stderr
    names = [config.name for config, _ in ENCODERS]
    return {name: {*json.loads(line)} for name, line in zip(names, done.stdout.splitlines(), strict=True)}


@pytest.mark.parametrize(("config", "adapter"), ENCODERS)
def test_the_code_of_an_encoder_is_what_python_imports_for_it(
    imported_for: dict[str, set[str]],
    config: PatchTransformerConfig | LunaConfig,
    adapter: NoAdapterConfig | PerceiverConfig,
) -> None:
    imported = imported_for[config.name]
    found = set(encoder_code(config, adapter, config.default_normalization))
    packages = {name.rpartition(".")[0] for name in imported}  # import their modules, are docstrings otherwise
    # The package itself imports ``processor``: no encoder computes with it.
    assert imported - found <= packages | {"errors", "nn.load_report", "source_code", "processor"}
    assert {"nn.electrode_embedding", "batch", "nn.rereference"} <= found
    other = "encoders.luna" if config.name == "patch_transformer" else "encoders.patch_transformer"
    assert not [name for name in found if name.startswith((other, "training", "windows", "store", "jobs"))]


def test_an_encoder_of_other_code_is_refused_and_accepted_by_name() -> None:
    menu = {"encoder": {"name": "patch_transformer"}}
    today = header(**menu)
    assert refuse_other_code(today, accept=False, key="x") == []
    name = "encoders.patch_transformer.attention"
    other = header(**menu, encoder_code=today.encoder_code | {name: "0" * 12})
    with pytest.raises(CheckpointError, match=rf"{name}\).*--pipelines=pretrain --env=e, .* set probe.accept=true"):
        refuse_other_code(other, accept=False, key="probe.accept", options=" --env=e")
    assert refuse_other_code(other, accept=True, key="probe.accept") == [name]
    for lost in ({}, {k: v for k, v in today.encoder_code.items() if k != name}):
        with pytest.raises(CheckpointError, match="other code of patch_transformer"):
            refuse_other_code(header(**menu, encoder_code=lost), accept=False, key="x")
