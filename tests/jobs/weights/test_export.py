"""Exported encoders compute what the module computes, and name nobody."""

import json
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import onnxruntime
import pytest
import torch
import yaml

import eegfm.jobs.weights.export
from checkpoints import header, imported_header
from eegfm.adapters.config import PerceiverConfig, ZeroPadConfig
from eegfm.adapters.load import build_adapter
from eegfm.ancestry import inherited
from eegfm.batch import SignalSpec, WindowBatch
from eegfm.checkpoint import Checkpoint
from eegfm.encoders.base import Encoded, Encoder, one_row
from eegfm.encoders.config import EegnetConfig, PatchTransformerConfig
from eegfm.encoders.load import build_encoder
from eegfm.encoders.tokens import Tokens
from eegfm.errors import CheckpointError, ConfigError
from eegfm.inference.module import build_inference
from eegfm.jobs.weights.config import ExportParams, ImportParams
from eegfm.jobs.weights.export import export
from eegfm.jobs.weights.export_onnx import write_onnx
from eegfm.jobs.weights.export_programs import Traced, compare, write_torch_export
from eegfm.jobs.weights.exported import load_exported, read_exported_config
from eegfm.jobs.weights.import_weights import import_weights
from eegfm.jobs.weights.model_card import preparation
from eegfm.nn.rereference import reference_matrix
from eegfm.project.console import one_line
from exports import checkpoint_of
from kedro_project import PROJECT_ROOT

CONFIG = PatchTransformerConfig(d_model=16, head_size=8, n_layers=1, patch_s=1.0)
HUGGINGFACE = ExportParams(formats=("huggingface",))
PERSON, SIGNAL = "TUEG:aaaaaaab", "deadbeefdeadbeef"


def windows(n_windows: int, n_samples: int, n_channels: int = 19) -> torch.Tensor:
    return 30 * torch.randn(n_windows, n_channels, n_samples, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return checkpoint_of(CONFIG, persons=[[PERSON]], signals=[SIGNAL], kept_out={"x": ["NDA:é"]}, n_persons=1)


@pytest.fixture(scope="module")
def exported(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("output") / "export"
    return folder, export(checkpoint, ExportParams(formats=("huggingface", "torch_export", "onnx")), folder)


def test_the_default_needs_no_extra() -> None:
    default = ExportParams().formats
    assert default == ("huggingface", "torch_export")
    assert yaml.safe_load((PROJECT_ROOT / "conf/base/parameters_export.yml").read_text())["export"]["formats"] == [
        *default
    ]


def test_files_of_others_are_not_removed(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    export(checkpoint, HUGGINGFACE, folder)
    export(checkpoint, HUGGINGFACE, folder)  # an earlier export is replaced
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"/export holds what no export wrote \(notes\.txt\).*move it away"):
        export(checkpoint, HUGGINGFACE, folder)
    assert (folder / "notes.txt").read_text() == "mine"


def test_the_report_says_what_was_compared(exported: tuple[Path, dict[str, Any]]) -> None:
    folder, report = exported
    files = [file for found in report["formats"].values() for file in found["files"]]
    assert sorted(files) == sorted(p.name for p in folder.iterdir())
    assert report["formats"]["huggingface"]["difference"] == 0
    for name in ("torch_export", "onnx"):
        found = report["formats"][name]
        assert found["difference"] <= found["tolerance"] <= 1e-3
        assert (found["batch_size"], found["n_samples"]) == ("any", "200 times 2 or more")
    assert report["input"] == {"recorded_uv": ["batch", 19, 800]}
    assert report["outputs"] == {"features": ["batch", 19, 16], "encoded": ["batch", 76, 16]}
    assert [p.name for p in folder.parent.iterdir()] == ["export"]
    json.dumps(report, allow_nan=False)


def test_the_exported_module_is_reference_adapter_and_encoder(
    checkpoint: Checkpoint, exported: tuple[Path, dict[str, Any]]
) -> None:
    recorded_uv = windows(3, 800)
    [(name, montage)] = SignalSpec.from_dict(checkpoint.header.signal_spec).montages.items()
    referenced_uv = reference_matrix(montage, "average").double() @ recorded_uv.double()
    batch = {
        "signal": (referenced_uv.float() / 30).clamp(-15, 15),
        "channel_positions": torch.from_numpy(montage.positions()).expand(3, -1, -1),
        "channel_mask": torch.ones(1, 1, dtype=torch.bool).expand(3, 19),
        "reference": "average",
        "recording": torch.zeros(3, dtype=torch.int64),
        "corpus": "",
        "montage": name,
    }
    with torch.no_grad():
        encoded = build_encoder(checkpoint)(batch)
        features, found = load_exported(exported[0])(recorded_uv)
    torch.testing.assert_close(found, encoded, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(features, encoded.view(3, 19, 4, 16).mean(dim=2), atol=1e-4, rtol=1e-4)


def test_what_is_read_back_is_equal_to_the_bit(checkpoint: Checkpoint, exported: tuple[Path, dict[str, Any]]) -> None:
    model, again = build_inference(checkpoint), load_exported(str(exported[0]))
    assert not again.training
    assert model.state_dict().keys() == again.state_dict().keys()
    for one, other in zip(model(windows(2, 600)), again(windows(2, 600)), strict=True):
        assert torch.equal(one, other)


def test_programs_take_other_batches_and_lengths(checkpoint: Checkpoint, exported: tuple[Path, dict[str, Any]]) -> None:
    program = torch.export.load(exported[0] / "encoder.pt2").module()
    session = onnxruntime.InferenceSession(exported[0] / "encoder.onnx")
    assert [i.name for i in session.get_inputs()] == ["recorded_uv"]
    assert [o.name for o in session.get_outputs()] == ["features", "encoded"]
    for recorded_uv in (windows(5, 400), windows(1, 2000)):
        expected = build_inference(checkpoint)(recorded_uv)
        by_onnx = [torch.from_numpy(v) for v in session.run(None, {"recorded_uv": recorded_uv.numpy()})]
        for found in (program(recorded_uv), by_onnx):
            for one, other in zip(found, expected, strict=True):
                torch.testing.assert_close(one.detach(), other.detach(), atol=1e-4, rtol=1e-4)


def test_no_person_is_named_anywhere(exported: tuple[Path, dict[str, Any]]) -> None:
    for path in exported[0].iterdir():
        content = path.read_bytes()
        for secret in (PERSON, "aaaaaaab", SIGNAL, "NDA:"):
            assert secret.encode() not in content, f"{secret} in {path.name}"
    header = read_exported_config(exported[0]).header
    assert (header.persons, header.signals, header.kept_out, header.n_persons) == (None, None, None, 1)


def test_persons_whom_a_start_had_met_are_counted(tmp_path: Path) -> None:
    met = {"phase": "pretrain", "test_persons": [PERSON], "validation_persons": []}
    export(checkpoint_of(CONFIG, start=met), HUGGINGFACE, tmp_path)
    assert read_exported_config(tmp_path).header.start == met | {"test_persons": 1, "validation_persons": 0}


def test_the_card_says_what_the_weights_are(exported: tuple[Path, dict[str, Any]]) -> None:
    text = (exported[0] / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    assert yaml.safe_load(front) == {
        "license": "unknown",
        "library_name": "eegfm",
        "pipeline_tag": "feature-extraction",
        "tags": ["eeg", "foundation-model", "patch_transformer", "simulated"],
    }
    for line in ("on 1 persons", "SIMULATED recordings: tuh", "| corpora | hbn, tuh |", "| training steps | 6 |"):
        assert line in body
    for line in ("| rate | 200 Hz |", "| reference | average |", "low_hz 0.5", "Fp1, Fp2, F7", "load_exported"):
        assert line in body


def test_the_card_says_how_signals_are_prepared_with_numbers(tmp_path: Path) -> None:
    export(checkpoint_of(CONFIG), HUGGINGFACE, tmp_path / "x")
    text = (tmp_path / "x" / "README.md").read_text()
    assert "as recorded" not in text
    assert "Raw EEG is no such input" in text
    for line in (
        "- unit: uV\n",
        "- rate: 200 Hz\n",
        "- band-pass: 0.5 to 45 Hz, without delay (zero phase); no notch filter\n",
        "- reference: each channel against that of the recording, here an unknown electrode. Re-referencing (average) "
        "and the adapter (none) are inside the module\n",
    ):
        assert line in text


@pytest.mark.parametrize(
    ("reference", "recorded", "notch_hz", "lines"),
    [
        ("as_recorded", "Cz", 50.0, ["notch at 50 Hz and its harmonics", "here Cz. Nothing is re-referenced"]),
        ("average", "unknown", None, ["no notch filter", "here an unknown electrode. Re-referencing (average)"]),
        ("average", "linked_ears", 60, ["notch at 60 Hz", "here the linked ears"]),
    ],
)
def test_preparation(reference: str, recorded: str, notch_hz: float | None, lines: list[str]) -> None:
    made = checkpoint_of(CONFIG).header
    (name, montage), *_ = made.signal_spec["montages"].items()
    spec = {**made.signal_spec, "montages": {name: {**montage, "reference": recorded}}, "rate_hz": 128.0}
    filters = {"low_hz": 1.0, "high_hz": 40.0, "notch_hz": notch_hz}
    header = made.model_copy(update={"signal_spec": spec, "filters": filters, "reference": reference})
    text = "\n".join(preparation(header, name))
    for line in ("rate: 128 Hz", "band-pass: 1 to 40 Hz", *lines):
        assert line in text


def test_the_card_and_the_header_say_what_the_weights_started_from(tmp_path: Path) -> None:
    known, foreign = header(fingerprint="first"), imported_header(fingerprint="abroad", corpora=["tueg"])
    for parents, line, n_persons in (
        ([known], "on 2 persons", "2"),
        ([known, foreign], "from weights published elsewhere (https://example.org/model). Which persons", "unknown"),
    ):
        saw = inherited(parents, corpora=["hbn"], simulated_corpora=[], persons=[], signals=[], kept_out={})
        folder = tmp_path / n_persons
        export(checkpoint_of(CONFIG, **saw), HUGGINGFACE, folder)
        text = (folder / "README.md").read_text()
        started_from = ", ".join(f"{parent.phase} {parent.fingerprint}" for parent in parents)
        assert line in text
        assert f"| started from | {started_from} |" in text
        assert f"| persons | {n_persons} |" in text
        exported = read_exported_config(folder).header
        assert exported.parents == saw["parents"]
        assert [one.fingerprint for one in exported.imports()] == ["abc", *(["abroad"] if foreign in parents else [])]


@pytest.mark.parametrize(
    ("license", "expected"),
    [("CC BY 4.0", {"license": "cc-by-4.0"}), ("for friends: only", {"license": "other"})],
)
def test_the_license_is_in_the_card(tmp_path: Path, license: str, expected: dict[str, str]) -> None:
    export(checkpoint_of(CONFIG, license=license), HUGGINGFACE, tmp_path / "x")
    front = yaml.safe_load((tmp_path / "x" / "README.md").read_text().split("---\n")[1])
    assert expected.items() <= front.items()
    assert front.get("license_name", license) == license


def test_adapters_weights_travel_and_an_export_can_be_imported(tmp_path: Path) -> None:
    made = checkpoint_of(CONFIG, PerceiverConfig(montage="1020_19", d_model=16), montages=("1020_21",))
    names = [name for name in made.tensors if name.startswith("adapter.")]
    assert len(names) > 10
    export(made, HUGGINGFACE, tmp_path / "export")
    params = ImportParams(
        encoder=CONFIG, montage="1020_19", rate_hz=1, window_s=1, filters={"low_hz": 1, "high_hz": 2}, corpora=[]
    )
    done = import_weights(tmp_path / "export" / "model.safetensors", params)
    again = done.checkpoint
    assert again.header.persons is None
    assert (again.header.corpora, again.header.n_steps) == (["hbn", "tuh"], 6)
    assert again.tensors.keys() == made.tensors.keys()
    assert all((again.tensors[n] == made.tensors[n]).all() for n in names)
    spec = SignalSpec.from_dict(again.header.signal_spec)
    assert sum(p.numel() for p in build_adapter(again, spec).parameters()) > 1000
    for one, other in zip(build_inference(made)(windows(1, 400, 21)), build_inference(again)(windows(1, 400, 21)),
                          strict=True):  # fmt: skip
        assert torch.equal(one, other)


def test_changed_weights_are_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    export(checkpoint, HUGGINGFACE, tmp_path / "x")
    weights = tmp_path / "x" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"is not the file that config\.json beside it describes"):
        load_exported(tmp_path / "x")
    weights.unlink()
    with pytest.raises(CheckpointError, match="not readable as safetensors"):
        load_exported(tmp_path / "x")
    (tmp_path / "x" / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"config\.json: is no configuration of this eegfm \(montage: "):
        load_exported(tmp_path / "x")
    with pytest.raises(CheckpointError, match="name the folder of an export"):
        load_exported(tmp_path / "nowhere")


def test_one_montage_is_chosen(tmp_path: Path) -> None:
    two = checkpoint_of(CONFIG, montages=("1020_19", "1020_21"))
    names = sorted(two.header.signal_spec["montages"])
    with pytest.raises(
        ConfigError,
        match=rf"the checkpoint has several montages, .*; choose one, such as --params=export\.montage={names[1]}",
    ):
        export(two, HUGGINGFACE, tmp_path / "x")
    with pytest.raises(ConfigError, match=r"export\.montage: 'm' is none of the checkpoint's montages"):
        export(two, ExportParams(formats=("huggingface",), montage="m"), tmp_path / "x")
    assert not list(tmp_path.iterdir())
    report = export(two, ExportParams(formats=("huggingface",), montage=names[1]), tmp_path / "x")
    assert report["input"] == {"recorded_uv": ["batch", int(names[1][:2]), 800]}
    assert load_exported(tmp_path / "x", names[0]).montage == names[0]


def test_an_export_is_whole_or_not_there(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(checkpoint, HUGGINGFACE, tmp_path / "x")
    before = (tmp_path / "x" / "config.json").read_bytes()
    differing = CheckpointError("encoder.pt2: results differ")
    monkeypatch.setattr(eegfm.jobs.weights.export, "trace", Mock(side_effect=differing))
    other = checkpoint_of(CONFIG.model_copy(update={"n_layers": 2}), window_s=1)
    with pytest.raises(CheckpointError, match="results differ"):
        export(other, ExportParams(formats=("huggingface", "torch_export")), tmp_path / "x")
    assert (tmp_path / "x" / "config.json").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


@contextmanager
def full_disk(n_bytes: int) -> Iterator[None]:
    """A disk that takes no more bytes of one file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_old_export(checkpoint: Checkpoint, tmp_path: Path) -> None:
    export(checkpoint, HUGGINGFACE, tmp_path / "x")
    before = sorted(p.name for p in (tmp_path / "x").iterdir())
    with full_disk(4096), pytest.raises(OSError, match="too large") as caught:
        export(checkpoint, HUGGINGFACE, tmp_path / "x")
    assert str(caught.value.filename).endswith("/model.safetensors")
    assert sorted(p.name for p in (tmp_path / "x").iterdir()) == before
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_full_disk_under_a_program_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If torch.export.save writes to the full disk itself, it aborts the process."""
    program = torch.export.export(torch.nn.Linear(40, 40), (torch.zeros(1, 40),))
    traced, model = Traced(program, (40,), is_any_length=False), Mock(outputs=("features", "encoded"))
    made = Mock(**{"save.side_effect": lambda path: path.write_bytes(bytes(9000))})
    monkeypatch.setattr(torch.onnx, "export", lambda *args, **named: made)
    for write, name in ((write_torch_export, "encoder.pt2"), (partial(write_onnx, n_samples=40), "encoder.onnx")):
        with full_disk(1000), pytest.raises(OSError, match="too large") as caught:
            write(traced, model, 1, folder=tmp_path)
        line = one_line(caught.value)
        assert line is not None
        assert line.startswith(f"{tmp_path}/{name}: the file would be larger than its disk")


def test_a_program_that_computes_something_else_is_refused(checkpoint: Checkpoint) -> None:
    model = build_inference(checkpoint).requires_grad_(False)

    def run(change: float) -> float:
        return compare(lambda x: [v * (1 + change) for v in model(x)], model, 19, [400, 200], 1e-3, "encoder.onnx")

    assert run(0.0) == 0.0
    assert run(5e-4) == pytest.approx(5e-4, rel=0.01)
    for change in (2e-3, float("nan")):
        with pytest.raises(
            CheckpointError, match=r"encoder\.onnx: results differ .* more than 0\.001; nothing was wri"
        ):
            run(change)
    with pytest.raises(CheckpointError, match=r"x: features are of shape \(1, 18, 16\), the module's \(1, 19, 16\)"):
        compare(lambda x: [v[:, 1:] for v in model(x)], model, 19, [400], 1e-3, "x")


def test_onnx_that_is_not_installed_is_one_line(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ConfigError, match=r'onnx needs onnxscript; install it with pip install "eegfm\[export\]"'):
        export(checkpoint, ExportParams(formats=("onnx",)), tmp_path / "x")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(
    "EEGFM_EXPORT_MENU" not in os.environ, reason="test_answering.py exports a padded encoder with a head"
)
def test_padding_is_part_of_the_program(tmp_path: Path) -> None:
    padded = checkpoint_of(CONFIG, ZeroPadConfig(montage="1020_21"), window_s=2)
    report = export(padded, ExportParams(formats=("torch_export", "onnx")), tmp_path / "x")
    assert report["formats"].keys() == {"torch_export", "onnx"}
    for found in report["formats"].values():
        assert found["difference"] <= found["tolerance"]


def test_what_cannot_be_traced_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def looks_at_values(self: Encoder, batch: WindowBatch, tokens: Tokens | None = None) -> Encoded:
        encoded = self(batch)
        summary = encoded.mean(dim=1, keepdim=True)
        return Encoded(encoded, one_row(summary if float(summary.sum()) > 0 else -summary))

    monkeypatch.setattr(Encoder, "encode_with_features", looks_at_values)
    with pytest.raises(CheckpointError) as caught:
        export(checkpoint_of(CONFIG, window_s=2), ExportParams(formats=("torch_export",)), tmp_path / "x")
    assert "leave torch_export and onnx out of export.formats" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_program_of_one_length_says_so(tmp_path: Path) -> None:
    made = checkpoint_of(EegnetConfig(), window_s=2)
    report = export(made, ExportParams(formats=("torch_export",)), tmp_path / "x")
    assert report["formats"]["torch_export"]["n_samples"] == 400
    program = torch.export.load(tmp_path / "x" / "encoder.pt2").module()
    for one, other in zip(program(windows(3, 400)), build_inference(made)(windows(3, 400)), strict=True):
        torch.testing.assert_close(one, other.detach(), atol=1e-4, rtol=1e-4)


def test_windows_of_another_shape_are_refused(checkpoint: Checkpoint) -> None:
    model = build_inference(checkpoint)
    for wrong in (windows(2, 400, 21), windows(2, 400)[0], windows(2, 400).double()):
        with pytest.raises(ConfigError, match=r"takes \(B, 19, T\) of torch\.float32"):
            model(wrong)
