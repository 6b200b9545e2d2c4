"""Several models live over one store: each has a folder for all that belongs to it, and shares all that does not."""

from pathlib import Path

import pytest

from eegfm.errors import ConfigError
from eegfm.project.console import one_line
from eegfm.project.model_folder import checked_model, model_folder
from eegfm.project.parameters import check_places
from kedro_project import project_session

OF_MODEL = {
    "splits": "05_model_input/splits.parquet",
    "mixture": "05_model_input/mixture.parquet",
    "pretrain.encoder": "06_models/pretrain/encoder.safetensors",
    "pretrain.encoder_file": "06_models/pretrain/encoder.safetensors",
    "pretrain.runs": "06_models/pretrain/runs",
    "pretrain.metrics": "08_reporting/pretrain/metrics.json",
    "pretrain.history": "08_reporting/pretrain/history.json",
    "pretrain.reconstructions": "08_reporting/pretrain/reconstructions.json",
    "pretrain.export": "07_model_output/pretrain/export",
    "pretrain.export_folder": "07_model_output/pretrain/export",
    "export.report": "08_reporting/export/report.json",
    "import_weights.report": "08_reporting/import_weights/report.json",
    "probe.metrics": "08_reporting/probe/metrics.json",
    "probe.predictions": "07_model_output/probe/predictions.parquet",
    "probe.comparison": "08_reporting/probe/comparison.json",
    "probe.label_efficiency": "08_reporting/probe/label_efficiency.json",
    "phases.metrics": "08_reporting/phases/metrics.json",
    "phases.comparison": "08_reporting/phases/comparison.json",
    "finetune.label_efficiency": "08_reporting/finetune/label_efficiency.json",
    "finetune.groups": "08_reporting/finetune/groups.json",
    "finetune.roc": "08_reporting/finetune/roc.json",
    "finetune.precision_recall": "08_reporting/finetune/precision_recall.json",
    "finetune.confusion": "08_reporting/finetune/confusion.json",
    "finetune.calibration": "08_reporting/finetune/calibration.json",
    "finetune.scatter": "08_reporting/finetune/scatter.json",
    "report": "08_reporting/report.html",
}


def places(data: Path, **params: object) -> dict[str, str]:
    """Path of every entry below the data folder, by name."""
    catalog = project_session("test", data, params).load_context().catalog
    names = [
        *OF_MODEL,
        *(f"hbn.{what}" for what in ("raw", "signals", "recordings", "windows", "montages", "spectrum")),
    ]
    described = {name: catalog[name]._describe() for name in names}
    paths = {name: Path(str(d.get("filepath") or d["path"])) for name, d in described.items()}
    return {name: path.relative_to(data).as_posix() for name, path in paths.items()}


def test_a_model_has_a_folder_of_its_own_and_shares_the_data(tmp_path: Path) -> None:
    without, named, other = (places(tmp_path, **p) for p in ({}, {"model": "luna-2"}, {"model": 3}))
    assert {name: without[name] for name in OF_MODEL} == OF_MODEL
    for name, place in without.items():
        assert named[name] == (f"models/luna-2/{place}" if name in OF_MODEL else place), name
    assert other["splits"] == "models/3/05_model_input/splits.parquet"
    assert places(tmp_path, model="") == without


@pytest.mark.parametrize(
    "name", ["a/b", "..", ".", ".x", "-x", "a.", "a b", "a\\b", "ä", "a\n", "x" * 101, 1.5, True, ["a"], "/a"]
)
def test_a_name_that_is_no_folder_is_refused(name: object) -> None:
    with pytest.raises(ConfigError, match=r"^parameter model: .* is no name of a model; allowed are letters"):
        model_folder("data", name)


@pytest.mark.parametrize("name", ["a", "A.b_c-1", "7", 7, "pretrain", "x" * 100])
def test_plain_names_are_taken(name: object) -> None:
    assert model_folder("data", name) == f"data/models/{checked_model(name)}"
    assert model_folder("data", None) == model_folder("data", "") == "data"


def test_the_project_refuses_a_wrong_name_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        project_session("test", tmp_path, {"model": "../x"}).load_context()
    assert (one_line(caught.value) or "").startswith("parameter model: '../x' is no name of a model")


@pytest.mark.parametrize("name", ["data", "model"])
def test_a_place_in_a_file_of_parameters_is_not_silently_unused(name: str) -> None:
    check_places({name: "x"}, {name: "x"})
    with pytest.raises(ConfigError, match=rf"parameter {name}: 'x' stands in a file .*{name}: into globals\.yml"):
        check_places({name: "x"}, {})
