"""Published weights in and files for others out, as the pipelines do it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from checkpoints import header
from edf_files import write_tones
from eegfm.checkpoint import Checkpoint, read_header, save_checkpoint
from eegfm.errors import CheckpointError, EegfmError
from encoders.labram.test_key_map import generated, pretrained_shapes
from kedro_project import files_under, project_session, run_project

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


LABELS = ["Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2"]
PROBED: dict[str, Any] = {
    "corpora": {"pretrain": [], "probe": ["mine"]},
    "signal": {"rate_hz": 200.0, "low_hz": 0.5, "high_hz": 45.0},
    "mine": {
        "acquire": {"source": {"name": "folder"}},
        "ingest": {
            "corpus": {"name": "edf_folder", "pattern": "{subject}_{run}.edf"}, "workers": {"n_workers": 1},
        },
        "window": {
            "cuts": {
                "rest": {"name": "recording_label", "column": "run", "classes": {"a": ["1"], "b": ["2"]},
                         "length_s": 4, "stride_s": 4},
            },
        },
    },
    "probe": {"tasks": ["rest"], "pooling": "mean", "lambdas": [1.0], "inner_folds": 5, "n_untrained": 1},
    "finetune": {"tasks": ["rest"]},
    "import": IMPORT | {"filters": {"low_hz": 0.5, "high_hz": 45.0, "notch_hz": None}},
}  # fmt: skip


@pytest.fixture
def probed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a corpus to probe on, and published weights."""
    data = tmp_path / "data"
    (data / "01_raw/mine").mkdir(parents=True)
    for k in range(4):
        for run in (1, 2):
            tones_hz = np.linspace(4, 30, len(LABELS)) * run / 2
            write_tones(data / f"01_raw/mine/s{k}_{run}.edf", LABELS, tones_hz, 20, 200, noise_uv=10, seed=10 * k + run)
    published = tmp_path / "labram.safetensors"
    save_file(generated(pretrained_shapes(1)), published)
    monkeypatch.setenv("FOREIGN_WEIGHTS", str(published))
    return data


def refused(data: Path, pipeline: str, params: dict[str, Any]) -> str:
    """The one line of a run that is refused before it changes a file."""
    before = {path: path.read_bytes() for path in files_under(data)}
    with pytest.raises(EegfmError) as caught:
        run_project("test", data, pipeline, params)
    assert {path: path.read_bytes() for path in files_under(data)} == before
    return str(caught.value)


def test_an_imported_encoder_is_probed_and_reported_and_no_advice_destroys_it(probed: Path) -> None:
    data = probed
    line = refused(data, "__default__", PROBED)
    assert "/06_models/pretrain/encoder.safetensors; import one with: FOREIGN_WEIGHTS=FILE kedro run" in line
    assert "corpora.pretrain names no corpus" in refused(data, "pretrain", PROBED)
    run_project("test", data, "import_weights", PROBED)
    encoder = data / "06_models/pretrain/encoder.safetensors"
    imported = encoder.read_bytes()

    line = refused(data, "report", PROBED)
    assert line.startswith("not there yet: mine.ingest_summary, ")
    assert "probe.metrics" in line
    assert "; run first: kedro run --pipelines=probe --env=test '--params=data=" in line
    assert f"data={data}" in line
    run_project("test", data, "probe", PROBED)
    run_project("test", data, "report", PROBED)
    page = (data / "08_reporting/report.html").read_text()
    for text in ("Imported encoder", "labram.safetensors", "trained elsewhere", "<h2>Probe: "):
        assert text in page
    assert "Windows of the mixture" not in page

    # Whoever trains here, says so: another model, whose parameters make nothing of this one stale.
    trained = {"corpora": {"pretrain": ["mine"], "probe": []}, "mix": {"weights": {"mine": 1.0}, "cut": "rest"}}
    line = refused(data, "pretrain", PROBED | trained)
    assert line.startswith(f"{encoder} holds an encoder that was imported from labram.safetensors (SHA-256 ")
    assert "keep both with --params=model=NAME, or replace it with --params=pretrain.overwrite=true" in line
    other = {"import": PROBED["import"] | {"note": "second"}}
    assert "with other parameters (import.note 'generated' -> 'second')" in refused(
        data, "import_weights", PROBED | other
    )
    second = PROBED | other | {"model": "second", "split": {"salt": "second"}}
    run_project("test", data, "import_weights", second)
    assert "kedro run --pipelines=probe --env=test '--params=data=" in refused(data, "report", second)
    assert "model=second" in refused(data, "report", second)
    project_session("test", data, second).run(pipeline_names=["probe", "report"])
    assert {path.name for path in (data / "models").iterdir()} == {"second"}
    assert encoder.read_bytes() == imported
    run_project("test", data, "report", PROBED)  # not stale by the salt of the other

    # The same import again gives the same encoder; told, another one replaces it.
    before = read_header(encoder)
    run_project("test", data, "import_weights", PROBED)
    assert read_header(encoder) == before
    run_project("test", data, "import_weights", PROBED | {"import": other["import"] | {"overwrite": True}})
    assert read_header(encoder).imported.note == "second"
