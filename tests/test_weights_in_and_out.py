"""Published weights in and files for others out, as the pipelines do it."""

import json
from pathlib import Path

import pytest
from safetensors.numpy import save_file

from checkpoints import header
from eegfm.checkpoint import Checkpoint, read_header, save_checkpoint
from eegfm.errors import CheckpointError
from encoders.labram.test_key_map import generated, pretrained_shapes
from kedro_project import run_project

IMPORT = {"encoder": {"name": "labram", "channels": "names", "n_layers": 1}, "corpora": ["tueg"], "note": "generated"}
EXPORT = {"formats": ["huggingface"]}


def test_from_published_weights_to_an_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published, data = tmp_path / "labram.safetensors", tmp_path / "data"
    save_file(generated(pretrained_shapes(1)), published)
    monkeypatch.setenv("FOREIGN_WEIGHTS", str(published))
    run_project("test", data, "import_weights", {"import": IMPORT})
    encoder = data / "06_models/pretrain/encoder.safetensors"
    found = read_header(encoder)
    assert (found.phase, found.corpora, found.persons) == ("imported", ["tueg"], None)
    report = json.loads((data / "08_reporting/import_weights/report.json").read_text())
    assert len(report["matched"]) == report["n_needed"]
    assert report["file_sha256"] == found.imported.file_sha256

    run_project("test", data, "export", {"export": EXPORT})
    folder = data / "07_model_output/pretrain/export"
    assert sorted(p.name for p in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert "is unknown: no score on the corpora below counts" in (folder / "README.md").read_text()
    assert json.loads((data / "08_reporting/export/report.json").read_text())["unit"] == "uV"

    save_checkpoint(encoder, Checkpoint({}, header()))
    with pytest.raises(CheckpointError, match=r"holds an encoder that was pretrained here .*import\.overwrite=true"):
        run_project("test", data, "import_weights", {"import": IMPORT})
