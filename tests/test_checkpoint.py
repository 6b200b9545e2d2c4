"""Checkpoints: whole, finite, explained by their header, and read without trusting them."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from safetensors.numpy import load_file, save_file

from checkpoints import header, imported_header
from eegfm.checkpoint import Checkpoint, CheckpointHeader, load_checkpoint, read_header, save_checkpoint
from eegfm.errors import CheckpointError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "models" / "encoder.safetensors"


def test_round_trip_keeps_every_bit(path: Path) -> None:
    rng = np.random.default_rng(0)
    tensors = {
        "encoder.weight": rng.standard_normal((3, 5)).astype(np.float32),
        "encoder.count": np.array([2**40], dtype=np.int64),
        "encoder.scalar": np.float32(0.1).reshape(()),
        "objective.half": rng.standard_normal(4).astype(np.float16),
    }
    save_checkpoint(path, Checkpoint(tensors, header()))
    loaded = load_checkpoint(path)
    assert loaded.header == read_header(path) == header()
    assert set(loaded.tensors) == set(tensors)
    for name, value in tensors.items():
        assert loaded.tensors[name].dtype == value.dtype
        np.testing.assert_array_equal(loaded.tensors[name], value)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("view", [lambda x: x.T, lambda x: x[::2], lambda x: x[:, ::-1], np.asfortranarray])
def test_arrays_that_do_not_lie_in_one_piece_come_back_right(path: Path, view: object) -> None:
    value = view(np.arange(12, dtype=np.float32).reshape(4, 3))
    save_checkpoint(path, Checkpoint({"w": value}, header()))
    np.testing.assert_array_equal(load_checkpoint(path).tensors["w"], value)


def test_file_is_plain_safetensors(path: Path) -> None:
    save_checkpoint(path, Checkpoint({"w": np.ones(2, dtype=np.float32)}, header()))
    np.testing.assert_array_equal(load_file(path)["w"], [1, 1])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(path: Path, bad: float) -> None:
    tensors = {"good": np.ones(2, dtype=np.float32), "broken": np.array([0, bad], dtype=np.float32)}
    with pytest.raises(CheckpointError, match=r"encoder\.safetensors: weights are not finite \(broken\)"):
        save_checkpoint(path, Checkpoint(tensors, header()))
    assert not path.exists()


def test_missing_file(path: Path) -> None:
    for read in (load_checkpoint, read_header):
        with pytest.raises(CheckpointError, match=r"no such checkpoint; make it with the pipeline pretrain"):
            read(path)


@pytest.mark.parametrize("damage", ["empty", "cut in the header", "cut in the weights", "text"])
def test_damaged_file(path: Path, damage: str) -> None:
    save_checkpoint(path, Checkpoint({"w": np.ones(1000, dtype=np.float32)}, header()))
    data = path.read_bytes()
    cuts = {
        "empty": b"",
        "cut in the header": data[:100],
        "cut in the weights": data[:-50],
        "text": b"no" * 500,
    }
    path.write_bytes(cuts[damage])
    with pytest.raises(CheckpointError, match=r"encoder\.safetensors: not readable as safetensors"):
        load_checkpoint(path)


def test_weights_of_others_are_refused(tmp_path: Path) -> None:
    save_file({"w": np.ones(2, dtype=np.float32)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match=r"foreign\.safetensors: holds no eegfm header"):
        load_checkpoint(tmp_path / "foreign.safetensors")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        json.dumps({"phase": "pretrain"}),
        header().model_dump_json()[:-1] + ', "code": "os.system"}',
    ],
)
def test_header_is_closed(tmp_path: Path, text: str) -> None:
    save_file({"w": np.ones(2, dtype=np.float32)}, tmp_path / "x.safetensors", metadata={"eegfm": text})
    with pytest.raises(CheckpointError, match=r"x\.safetensors: header does not fit format 6"):
        read_header(tmp_path / "x.safetensors")


@pytest.mark.parametrize("version", [5, 7])
def test_another_format_is_refused_with_what_to_do(tmp_path: Path, version: int) -> None:
    content = header().model_dump() | {"format_version": version}
    save_file({"w": np.ones(2, dtype=np.float32)}, tmp_path / "x.safetensors", metadata={"eegfm": json.dumps(content)})
    with pytest.raises(CheckpointError, match=rf"x\.safetensors: is of format {version}, .* reads format 6.*again"):
        load_checkpoint(tmp_path / "x.safetensors")


def test_who_was_seen_and_who_was_kept_out_come_back(path: Path) -> None:
    seen = header(
        n_persons=1,
        persons=[["TUEG:aaaaaaab"]],
        signals=["0123456789abcdef"],
        kept_out={"official test set": ["NDA:é"]},
        parents=(header().as_parent(),),
    )
    save_checkpoint(path, Checkpoint({"w": np.ones(1, dtype=np.float32)}, seen))
    assert read_header(path) == seen


def test_header_says_microvolts_and_refuses_what_it_does_not_know() -> None:
    assert header().unit == "uV"
    with pytest.raises(ValidationError):
        header(implementation="os:system")
    with pytest.raises(ValidationError):
        CheckpointHeader(phase="pretrain")


def test_interrupted_save_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(path, Checkpoint({"w": np.ones(1, dtype=np.float32)}, header()))

    def killed(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, Checkpoint({"w": np.zeros(1, dtype=np.float32)}, header()))
    monkeypatch.undo()
    assert load_checkpoint(path).tensors["w"] == [1]
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_whom_imported_weights_have_seen_is_unknown_and_never_nobody(path: Path) -> None:
    save_checkpoint(path, Checkpoint({"w": np.ones(1, dtype=np.float32)}, imported_header()))
    assert read_header(path).persons is None
    for change in ({"persons": []}, {"signals": []}, {"kept_out": {}}, {"imported": None}):
        with pytest.raises(ValidationError, match="unknown for imported weights, and for no others"):
            imported_header(**change)
    with pytest.raises(ValidationError, match="unknown for imported weights, and for no others"):
        header(persons=None, signals=None, kept_out=None)


def test_what_is_wrong_with_a_header_is_one_line(tmp_path: Path) -> None:
    text = header().model_dump_json()[:-1] + ', "code": "os.system"}'
    save_file({"w": np.ones(2, dtype=np.float32)}, tmp_path / "x.safetensors", metadata={"eegfm": text})
    with pytest.raises(CheckpointError) as caught:
        read_header(tmp_path / "x.safetensors")
    assert str(caught.value).endswith("header does not fit format 6 (code: Extra inputs are not permitted)")


MONTAGE = {"channel_names": ["Cz"], "positions_m": [[0, 0, 0.1]], "is_scalp": [True], "reference": "average"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"rate_hz": 100.0, "montages": {"m": MONTAGE}, "n_samples": {"m": 10**12}}, "less than or equal to 100000000"),
        ({"rate_hz": 100.0, "montages": {"m": MONTAGE}, "n_samples": {"m": -1}}, "greater than 0"),
        ({"rate_hz": 1e300, "montages": {"m": MONTAGE}, "n_samples": {"m": 400}}, "less than or equal to 10000000"),
        ({"rate_hz": 100.0, "montages": {"m": MONTAGE}, "n_samples": {}}, "name different montages"),
        ({"rate_hz": 100.0, "montages": 3, "n_samples": {}}, "montages"),
        ({"rate_hz": 100.0, "n_samples": {}}, "Field required"),
        (
            {"rate_hz": 100.0, "montages": {"m": MONTAGE | {"is_scalp": []}}, "n_samples": {"m": 4}},
            "position and flag per channel",
        ),
        (
            {"rate_hz": 100.0, "montages": {"m": MONTAGE | {"channel_names": ["Cz"] * 10**5}}, "n_samples": {"m": 4}},
            "at most 4096",
        ),
    ],
)
@pytest.mark.parametrize("field", ["signal_spec", "encoder_spec"])
def test_sizes_of_a_header_are_limited(tmp_path: Path, field: str, spec: dict[str, object], expected: str) -> None:
    text = json.dumps(json.loads(header().model_dump_json()) | {field: spec})
    save_file({"w": np.ones(2, dtype=np.float32)}, tmp_path / "x.safetensors", metadata={"eegfm": text})
    with pytest.raises(CheckpointError, match=r"x\.safetensors: header does not fit format 6") as caught:
        read_header(tmp_path / "x.safetensors")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("encoder", "expected"),
    [
        ("[" * 50_000 + "]" * 50_000, "nested deeper than 64 levels"),
        ('{"name": NaN}', "NaN is no number"),
        ('{"n": ' + "1" * 5000 + "}", "a number of 5000 digits"),
        ('{"a": 1, "a": 2}', "the name 'a' occurs twice"),
    ],
)
def test_a_header_that_json_cannot_say_is_one_line(tmp_path: Path, encoder: str, expected: str) -> None:
    text = header().model_dump_json()[:-1] + f', "encoder": {encoder}}}'
    save_file({"w": np.ones(2, dtype=np.float32)}, tmp_path / "x.safetensors", metadata={"eegfm": text})
    with pytest.raises(CheckpointError, match=expected) as caught:
        read_header(tmp_path / "x.safetensors")
    assert "\n" not in str(caught.value)
