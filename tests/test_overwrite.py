"""An encoder is replaced only by the run that made it, or where a parameter says so; the line says what it is."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from checkpoints import header, imported_header
from eegfm.checkpoint import Checkpoint, CheckpointHeader, save_checkpoint
from eegfm.errors import CheckpointError
from eegfm.overwrite import (
    changed_code,
    changed_parameters,
    is_only_longer,
    refuse_imported,
    refuse_trained,
    stored_header,
    stored_run,
)
from eegfm.source_code import module_hashes

CODE = module_hashes("eegfm.nn.rereference")
IDENTITY: dict[str, Any] = {
    "params": {"seed": 0, "n_steps": 6, "encoder": {"name": "luna", "size": "base"}},
    "mixture": "m",
    "filters": {"low_hz": 0.5},
    "signals": {"hbn": "h", "tuh": "t"},
    "parents": [],
    "code": CODE,
}
WAYS = (
    "; this run would replace it: keep both with --params=model=NAME, or replace it with --params={key}.overwrite=true"
)


def store(folder: Path, described: CheckpointHeader) -> Path:
    file = folder / "encoder.safetensors"
    save_checkpoint(file, Checkpoint({"w": np.zeros(2, dtype=np.float32)}, described))
    return file


def write_log(folder: Path, identity: dict[str, Any], fingerprint: str = "abc") -> Path:
    (folder / "runs" / fingerprint).mkdir(parents=True)
    (folder / "runs" / fingerprint / "params.json").write_text(json.dumps({"params": {}, "identity": identity}))
    return folder / "runs"


def refused(file: Path, runs: Path, identity: dict[str, Any], fingerprint: str = "new") -> str:
    before = file.read_bytes()
    with pytest.raises(CheckpointError) as caught:
        refuse_trained(file, runs, overwrite=False, key="pretrain")(fingerprint, identity)
    assert file.read_bytes() == before
    refuse_trained(file, runs, overwrite=True, key="pretrain")(fingerprint, identity)
    said, ways = str(caught.value).removeprefix(f"{file} holds an encoder that "), WAYS.format(key="pretrain")
    assert said.endswith(ways)
    return said.removesuffix(ways)


def test_the_same_run_again_and_an_empty_place_are_not_refused(tmp_path: Path) -> None:
    file = tmp_path / "encoder.safetensors"
    refuse_trained(file, tmp_path, overwrite=False, key="pretrain")("abc", IDENTITY)
    store(tmp_path, header(fingerprint="abc"))
    refuse_trained(file, tmp_path, overwrite=False, key="pretrain")("abc", IDENTITY)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"params": IDENTITY["params"] | {"seed": 3}}, "with other parameters (pretrain.seed 0 -> 3)"),
        (
            {"params": {"seed": 1, "n_steps": 8, "encoder": {"name": "femba", "d": 1}}},
            "with other parameters (pretrain.encoder.name 'luna' -> 'femba', pretrain.n_steps 6 -> 8, "
            "pretrain.seed 0 -> 1)",
        ),
        ({"code": CODE | {"nn.rereference": "edited"}}, "by other code (nn.rereference)"),
        ({"parents": ["p"]}, "from other weights"),
        ({"mixture": "n"}, "on other data (mixture changed)"),
        ({"filters": {"low_hz": 1.0}}, "on other data (filters changed)"),
        ({"signals": {"hbn": "h", "tuh": "u"}}, "on other data (signals of tuh changed)"),
        ({"signals": {"hbn": "i", "eegmat": "e"}}, "on other data (signals of eegmat, hbn, tuh changed)"),
    ],
)
def test_what_differs_is_named(change: dict[str, Any], expected: str, tmp_path: Path) -> None:
    file, runs = store(tmp_path, header(fingerprint="abc")), write_log(tmp_path, IDENTITY)
    assert refused(file, runs, IDENTITY | change) == f"was trained {expected}"


@pytest.mark.parametrize(
    ("length", "is_longer"),
    [
        ({"n_steps": 7}, True),
        ({"n_steps": 5}, False),
        ({"n_steps": 6}, True),
        ({"n_steps": None, "n_epochs": 9}, False),
    ],
)
def test_more_steps_of_the_same_run_are_not_refused(length: dict[str, Any], is_longer: bool, tmp_path: Path) -> None:
    made = IDENTITY | {"params": IDENTITY["params"] | {"n_epochs": None}}
    file, runs = store(tmp_path, header(fingerprint="abc")), write_log(tmp_path, made)
    now = made | {"params": made["params"] | length}
    assert is_only_longer(made, now) is is_longer
    assert (changed_parameters(made["params"], now["params"], "pretrain") == "") is is_longer
    if is_longer:
        refuse_trained(file, runs, overwrite=False, key="pretrain")("new", now)
        assert not is_only_longer(made, now | {"mixture": "other"})
        assert "pretrain.seed 0 -> 1" in changed_parameters(made["params"], now["params"] | {"seed": 1}, "pretrain")
    else:
        assert "pretrain.n_steps 6 ->" in refused(file, runs, now)
    assert not is_only_longer({}, now)
    assert stored_run(file) == "abc"
    assert stored_run(tmp_path / "none") is None


@pytest.mark.parametrize("log", ["", "no JSON", "[]", '{"identity": {"params": {}}}'])
def test_without_the_logs_of_its_run_the_fingerprint_decides(log: str, tmp_path: Path) -> None:
    file = store(tmp_path, header(fingerprint="abc"))
    if log:
        (write_log(tmp_path, IDENTITY) / "abc" / "params.json").write_text(log)
    assert refused(file, tmp_path / "runs", IDENTITY).startswith("was trained by another run (abc): with other param")
    assert changed_code(header(fingerprint="abc"), tmp_path / "runs") == ""


def test_code_is_compared_without_data(tmp_path: Path) -> None:
    runs, described = write_log(tmp_path, IDENTITY), header(fingerprint="abc")
    assert changed_code(described, runs) == ""
    other = IDENTITY | {"code": dict.fromkeys(CODE, "old") | {"gone.since": "x"}}
    runs = write_log(tmp_path / "other", other)
    assert changed_code(described, runs).startswith("by other code (")
    assert changed_code(described, runs).endswith(f" and {len(CODE) + 1 - 3} more)")


def test_imported_weights_are_not_trained_over(tmp_path: Path) -> None:
    file = store(tmp_path, imported_header(fingerprint="abc"))
    said = refused(file, tmp_path, IDENTITY, "abc")
    assert said == "was imported from https://example.org/model (SHA-256 222222222222…)"


def test_an_import_replaces_itself_only(tmp_path: Path) -> None:
    new = imported_header(fingerprint="i")
    file = tmp_path / "encoder.safetensors"
    refuse_imported(file, new, overwrite=False)
    other = {"source": "https://example.org/model", "file_sha256": "3" * 64}
    stored = [
        header(fingerprint="i"),
        imported_header(fingerprint="j"),
        imported_header(fingerprint="i", imported=other),
    ]
    said = ["was pretrained here (run i, 6 steps on hbn, tuh)", "was imported from", "was imported from"]
    for described, expected in zip(stored, said, strict=True):
        store(tmp_path, described)
        with pytest.raises(CheckpointError) as caught:
            refuse_imported(file, new, overwrite=False)
        assert str(caught.value).startswith(f"{file} holds an encoder that {expected}")
        assert str(caught.value).endswith(WAYS.format(key="import"))
        refuse_imported(file, new, overwrite=True)
    store(tmp_path, new)
    refuse_imported(file, new, overwrite=False)


def test_what_cannot_be_read_here_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "encoder.safetensors"
    assert stored_header(file, "pretrain") is None
    file.write_bytes(b"of an older eegfm")
    assert refused(file, tmp_path, IDENTITY).startswith("cannot be read here (not readable as safetensors")
