"""Two phases, from raw files to the report: the second one starts from the encoder of the first."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from eegfm.checkpoint import load_checkpoint, read_header
from eegfm.errors import CheckpointError, ConfigError, LineageError
from eegfm.inference.backbone import untrained_backbone_like
from kedro_project import Command, Run, kedro, project_session, run_project

ENV = "test_phases"


@pytest.fixture(scope="module")
def both(run: Run, no_images: None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Both phases over the data of ``conf/test``, which are the same."""
    data = tmp_path_factory.mktemp("phases") / "data"
    shutil.copytree(run.data, data, ignore=shutil.ignore_patterns("06_models", "07_model_output", "08_reporting"))
    return run_project(ENV, data, "__default__")


def encoder(data: Path, phase: str) -> Path:
    return data / f"06_models/{phase}/encoder.safetensors"


def test_data_of_the_other_environment_are_not_made_again(both: Run) -> None:
    assert {line for line in both.log if "to convert" in line} == {
        "tuh: 6 files, 0 to convert",
        "hbn: 27 files, 0 to convert",
    }


def test_the_second_phase_starts_from_the_encoder_of_the_first(both: Run) -> None:
    first, second = (load_checkpoint(encoder(both.data, phase)) for phase in ("pretrain", "adapt"))
    assert (first.header.phase, first.header.parents) == ("pretrain", ())
    assert (second.header.phase, second.header.parents) == ("adapt", (first.header.as_parent(),))
    assert second.header.encoder == first.header.encoder
    assert second.header.adapter["name"] == "perceiver"
    names = [name for name in first.tensors if name.startswith("adapter.")]
    assert len(names) > 10
    fresh = untrained_backbone_like(first, None, first.header.seed).state_dict()
    for name in names:  # the adapter was trained, and is frozen
        assert not np.array_equal(first.tensors[name], fresh[name].numpy()), name
        np.testing.assert_array_equal(second.tensors[name], first.tensors[name])
    for name in first.tensors:
        if name.startswith("encoder."):
            assert not np.array_equal(first.tensors[name], second.tensors[name]), name
    log = "\n".join(both.log)
    assert "49 of 49 weights matched" in log


def test_each_phase_is_probed_and_has_its_section_of_the_report(both: Run) -> None:
    fingerprints = {phase: read_header(encoder(both.data, phase)).fingerprint for phase in ("pretrain", "adapt")}
    probed = {"pretrain_probe": "pretrain", "probe": "adapt"}
    for name, phase in probed.items():
        metrics = json.loads((both.data / f"08_reporting/{name}/metrics.json").read_text())
        assert metrics.pop("eegfm")["made_by"]
        assert {one["protocol"]["pretraining"]["fingerprint"] for one in metrics.values()} == {fingerprints[phase]}
    page = (both.data / "08_reporting/report.html").read_text(encoding="utf-8")
    assert page.index("<h2>Phase pretrain</h2>") < page.index("<h2>Phase adapt</h2>")
    heads = ("Probe: hbn.eyes", "Training in numbers", "Adapt: history")
    assert [page.count(f"<h3>{head}</h3>") for head in heads] == [2, 2, 1]
    assert (both.data / "06_models/adapt/runs" / fingerprints["adapt"]).is_dir()


def test_the_phases_are_compared_over_the_same_persons(both: Run) -> None:
    probes = {
        phase: both.load(f"{name}.metrics") for name, phase in (("pretrain_probe", "pretrain"), ("probe", "adapt"))
    }
    compared = both.load("phases.metrics")
    assert compared.keys() == probes["adapt"].keys()
    for task, found in compared.items():
        assert [*found["phases"]] == ["pretrain", "adapt"], task
        assert found["differences"]["adapt"]["to"] == "pretrain"
    own, before = (probes[phase]["hbn.eyes"]["pretrained"]["balanced_accuracy"] for phase in ("adapt", "pretrain"))
    difference = compared["hbn.eyes"]["differences"]["adapt"]
    expected = [own["per_person"][person] - before["per_person"][person] for person in own["per_person"]]
    assert difference["mean"] == pytest.approx(sum(expected) / len(expected))
    looks = [probes[phase]["hbn.eyes"]["protocol"]["n_looks_before"] for phase in ("pretrain", "adapt")]
    assert looks[0] < looks[1], "the probe of the first phase looked at the same persons"
    assert "Phases side by side" in both.load("report")
    assert len(both.load("phases.comparison").data) == len(compared)


def test_a_first_phase_made_anew_makes_what_followed_another_generation(both: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(both.data, data)
    changed = {"pretrain": {"seed": 5, "overwrite": True}}
    project_session(ENV, data, changed).run(tags=["pretrain"])
    before = encoder(data, "adapt").read_bytes()
    with pytest.raises(CheckpointError, match=r"was trained from other weights \(pretrain \w+ -> pretrain \w+\)"):
        project_session(ENV, data).run(tags=["adapt"])
    with pytest.raises(LineageError, match=r"two generations: .*pretrain\.encoder"):
        project_session(ENV, data).run(pipeline_names=["report"])
    assert encoder(data, "adapt").read_bytes() == before
    project_session(ENV, data).run(pipeline_names=["probe"])  # an encoder stands for itself
    project_session(ENV, data, {"adapt": {"overwrite": True}}).run(
        tags=["adapt", "probe", "pretrain_probe", "finetune", "report"]
    )
    assert read_header(encoder(data, "adapt")).parents == (read_header(encoder(data, "pretrain")).as_parent(),)


def test_a_start_of_other_data_is_refused_and_can_be_taken_as_a_file(both: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(both.data, data, ignore=shutil.ignore_patterns("07_model_output", "08_reporting", "adapt"))
    other = {"split": {"salt": "other"}}
    project_session(ENV, data, other).run(pipeline_names=["mix"])
    file = encoder(data, "pretrain")
    with pytest.raises(LineageError) as caught:
        project_session(ENV, data, other).run(tags=["adapt"])
    line = str(caught.value)
    assert line.startswith("two generations: pretrain.encoder was made from another mixture")
    assert line.endswith(f", or start from the file as it is: ENCODER={file} with --params=adapt.start=file")


def test_a_phase_starts_from_the_file_of_a_variable(both: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    shutil.copytree(both.data, data, ignore=shutil.ignore_patterns("06_models", "07_model_output", "08_reporting"))
    monkeypatch.setenv("ENCODER", str(encoder(both.data, "pretrain")))
    project_session(ENV, data, {"adapt": {"start": "file"}}).run(tags=["adapt"])
    # The same start in another place gives the same run.
    again, before = (load_checkpoint(encoder(folder, "adapt")) for folder in (data, both.data))
    assert again.header.fingerprint == before.header.fingerprint
    assert again.header.parents == before.header.parents
    for name, value in before.tensors.items():
        np.testing.assert_array_equal(again.tensors[name], value)
    monkeypatch.setenv("ENCODER", str(encoder(data, "adapt")))
    with pytest.raises(ConfigError, match=r"which adapt itself writes"):
        project_session(ENV, data, {"adapt": {"start": "file"}}).run(tags=["adapt"])


def test_what_is_missing_is_said_before_torch_is_there(both: Run, tmp_path: Path) -> None:
    without = tmp_path / "data"
    shutil.copytree(both.data, without, ignore=shutil.ignore_patterns("06_models", "07_model_output", "08_reporting"))
    args = ("run", f"--env={ENV}", f"--params=data={without}")
    adapt, probe, file = kedro(
        Command((*args, "--pipelines=adapt"), tmp_path / "adapt"),
        Command((*args, "--pipelines=probe"), tmp_path / "probe"),
        Command((*args[:2], f"{args[2]},adapt.start=file", "--pipelines=adapt"), tmp_path / "file"),
        at_once=True,
    )
    [line] = adapt.errors
    assert f"06_models/pretrain/encoder.safetensors; make it with: kedro run --pipelines=pretrain --env={ENV}" in line
    [line] = probe.errors
    assert "no encoder of the phase adapt at " in line
    assert f"make it with: kedro run --pipelines=pretrain,adapt --env={ENV} --params=data={without}" in line
    [line] = file.errors
    assert "environment variable ENCODER is not set" in line
    for outcome in (adapt, probe, file):
        assert outcome.code == 1
        assert "torch" not in outcome.packages
