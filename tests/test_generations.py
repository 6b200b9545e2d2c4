"""Two generations in one data folder: whoever would read both stops, and the command that is named mends it."""

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eegfm.errors import CheckpointError, EegfmError
from eegfm.inference import encoder_code
from eegfm.io.recorded import Recorded
from kedro_project import HEAVY, Command, Run, files_under, kedro, project_session, run_project

TABLES = (
    "recordings",
    "events",
    "rejected",
    "file_outcomes",
    "windows",
    "window_counts",
    "ingest_summary",
    "montages",
    "unknown_channels",
)


@pytest.fixture(scope="module")
def data(run: Run, no_images: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a finished run, which the tests of this file change one after the other."""
    folder = tmp_path_factory.mktemp("generations") / "data"
    shutil.copytree(run.data, folder)  # with the times of the raw files
    return folder


def refused(data: Path, pipeline: str = "__default__", params: dict[str, Any] | None = None, **chosen: Any) -> str:
    """The one line of a run that must not start, and must not touch a file."""
    before = {path: path.stat().st_mtime_ns for path in files_under(data)}
    with pytest.raises(EegfmError) as caught:
        project_session("test", data, params).run(pipeline_names=[pipeline], **chosen)
    assert {path: path.stat().st_mtime_ns for path in files_under(data)} == before
    return str(caught.value)


def named(line: str, data: Path, params: dict[str, Any] | None = None) -> Run:
    """Run the command that a line names."""
    found = re.search(r"kedro run --pipelines=(\S+) --env=test --params=data=(\S+)", line)
    assert found, line
    session = project_session("test", data, params)
    session.run(pipeline_names=found[1].split(","))
    return Run(data, session, [])


def records(run: Run) -> dict[str, Any]:
    names = [f"{corpus}.{table}" for corpus in ("tuh", "hbn") for table in TABLES]
    names += [
        "splits",
        "mixture",
        "pretrain.encoder",
        "pretrain.metrics",
        "pretrain.history",
        "pretrain.reconstructions",
    ]
    names += ["tuh.spectrum", "hbn.spectrum", "probe.metrics", "probe.predictions", "probe.comparison"]
    return {name: run.catalog[name].record() for name in names}


def test_every_table_encoder_and_metrics_file_says_what_it_was_made_from(run: Run) -> None:
    found = records(run)
    assert all(found.values())
    encoder, probe = found["pretrain.encoder"], found["probe.metrics"]
    assert encoder.made_from == {
        "mixture": found["mixture"].contents,
        "splits": found["splits"].contents,
        **{f"{corpus}.signals": run.load(f"{corpus}.signals").identity for corpus in ("tuh", "hbn")},
    }
    assert (
        probe.made_from["pretrain.encoder"]
        == encoder.contents
        == found["pretrain.metrics"].made_with["pretrain.encoder"]
    )
    assert encoder.parameters["params:pretrain"]["n_steps"] == 6
    assert found["splits"].parameters["params:split"]["salt"] == "eegfm"
    for name, record in found.items():
        assert re.fullmatch("[0-9a-f]{64}", record.code[1]), name
        dataset = run.catalog[name]
        assert isinstance(dataset, Recorded)
        assert dataset.identity_of(dataset.load()) == record.contents, name


def test_a_copy_with_other_times_converts_and_trains_nothing(run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "data"
    shutil.copytree(run.data, copy, copy_function=shutil.copyfile)
    done = run_project("test", copy, "ingest")
    plans = sorted(line for line in done.log if "to convert" in line)
    assert [line.split(", ")[1] for line in plans] == ["0 to convert", "0 to convert"]
    same = [name for name in records(run) if "raw" not in name]
    assert {name: records(done)[name].contents for name in same} == {n: records(run)[n].contents for n in same}
    encoder = copy / "06_models/pretrain/encoder.safetensors"
    before = encoder.stat().st_mtime_ns
    run_project("test", copy, "report")
    assert encoder.stat().st_mtime_ns == before


def test_splits_of_other_parameters(run: Run, data: Path) -> None:
    other = {"split": {"salt": "b"}}
    line = refused(data, params=other, tags=["pretrain"])
    assert "splits was made with other parameters (split.salt was 'eegfm' and is 'b')" in line
    assert line.endswith(f"kedro run --pipelines=mix --env=test --params=data={data},split.salt=b")
    named(line, data, other)

    line = refused(data, "report")
    assert "pretrain.metrics" in line
    assert "made from another splits" in line or "made from another mixture" in line
    assert "--pipelines=pretrain,probe" in line
    for phase, stale in (("pretrain", "splits was made with other parameters"), ("probe", "splits was made with")):
        assert stale in refused(data, tags=[phase])
    line = refused(data, params=other, tags=["probe"])
    assert "pretrain.encoder was made from another splits" in line
    assert line.endswith("probe.accept_other_data=true")
    # Where the old splits come back, everything is as it was: nothing is refused and nothing is trained anew.
    assert records(run_project("test", data, "mix")) == records(run)
    run_project("test", data, "report")


def test_an_encoder_of_other_code(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encoder_code.module_hashes

    def edited(*roots: str) -> dict[str, str]:
        return whole(*roots) | {"encoders.patch_transformer.attention": "edited"}

    with monkeypatch.context() as patch:
        patch.setattr(encoder_code, "module_hashes", edited)
        for pipeline in ("probe", "export"):
            line = refused(data, pipeline)
            assert "encoder.safetensors: the encoder was made by other code of patch_transformer" in line
            assert "encoders.patch_transformer.attention" in line
            assert f"kedro run --pipelines=pretrain --env=test --params=data={data}, use" in line
            assert line.endswith(f"set {pipeline}.accept_other_code=true")


def test_a_raw_file_that_changed(run: Run, data: Path) -> None:
    """New samples, a new encoder, and the probe of the old one."""
    old = records(run)
    path = next(p for p in sorted((data / "01_raw/tuh").rglob("*.edf")))
    content = np.frombuffer(path.read_bytes(), np.uint8).copy()
    content[len(content) // 2 :: 2] ^= 1  # the lowest bits of half a recording
    path.write_bytes(content.tobytes())

    done = run_project("test", data, "ingest")
    assert "tuh: 6 files, 1 to convert" in done.log
    for chosen in ({"tags": ["pretrain"]}, {"node_names": ["mix_corpora"]}, {"from_nodes": ["mix_corpora"]}):
        line = refused(data, **chosen)
        assert "tuh.window" in line
        assert "made from another tuh.recordings" in line
        assert "kedro run --pipelines=mix --env" in line

    encoder = data / "06_models/pretrain/encoder.safetensors"
    trained = encoder.read_bytes()
    with pytest.raises(CheckpointError, match=r"was trained on other data \(signals of tuh changed\)"):
        project_session("test", data).run(pipeline_names=["pretrain"])
    assert encoder.read_bytes() == trained
    new = records(run_project("test", data, "pretrain", {"pretrain": {"overwrite": True}}))
    # The tables of windows are the same, and so is the mixture: only the samples tell the two runs apart.
    assert new["mixture"].contents == old["mixture"].contents
    assert new["pretrain.encoder"].contents != old["pretrain.encoder"].contents
    line = refused(data, "report")
    assert "were made from another pretrain.encoder" in line
    mended = named(line, data)
    assert "--pipelines=probe,finetune " in line
    run_project("test", data, "report")
    assert records(mended)["probe.metrics"].made_from["pretrain.encoder"] == new["pretrain.encoder"].contents
    runs = [p for p in (data / "06_models/pretrain/runs").iterdir() if p.is_dir()]
    assert len(runs) == 2  # no run lies in the folder of another


def test_metrics_that_were_edited_and_an_encoder_that_is_damaged(data: Path, tmp_path: Path) -> None:
    path, encoder = data / "08_reporting/probe/metrics.json", data / "06_models/pretrain/encoder.safetensors"
    old, weights = path.read_bytes(), bytearray(encoder.read_bytes())
    path.write_bytes(re.sub(rb'"pooled": [0-9.]+', b'"pooled": 0.99', old, count=1))
    weights[-9] ^= 1
    encoder.write_bytes(weights)
    lines = {"report": f"{path}: damaged or changed by hand", "export": f"{encoder}: damaged"}
    options = ("--env=test", f"--params=data={data}")
    commands = [Command(("run", f"--pipelines={name}", *options), tmp_path / name) for name in lines]
    for ended, line, again in zip(kedro(*commands), lines.values(), ("probe", "pretrain"), strict=True):
        assert (ended.code, len(ended.errors)) == (1, 1)
        assert ended.errors[0].startswith(f"eegfm: error: {line}")
        assert ended.errors[0].endswith(f"make it again with: kedro run --pipelines={again} {' '.join(options)}")
        assert not ended.packages & {*HEAVY}
    path.write_bytes(old)


def test_a_file_that_says_nothing_of_itself(data: Path, tmp_path: Path) -> None:
    table = project_session("test", data).load_context().catalog["splits"]
    table.save(table.load())
    line = refused(data, tags=["pretrain"])
    assert "splits (" in line
    assert "does not say what it was made from" in line
    assert "--pipelines=mix" in line
    [ended] = kedro(Command(("run", "--env=test", "--tags=pretrain", f"--params=data={data}"), tmp_path))
    assert ended.code == 1
    assert ended.errors == [f"eegfm: error: {line}"]
    assert not ended.packages & {*HEAVY}
