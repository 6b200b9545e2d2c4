"""The tokenizer and a phase that predicts its codes, from the mixture to the encoder."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from eegfm.checkpoint import load_checkpoint, read_header, save_checkpoint
from eegfm.errors import CheckpointError
from kedro_project import Command, Run, kedro, project_session

ENV = "test"
CODES = {"pretrain": {"n_steps": 2, "objective": {"target": "codes"}}}


def encoder(data: Path, phase: str) -> Path:
    return data / f"06_models/{phase}/encoder.safetensors"


@pytest.fixture(scope="module")
def data(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of ``conf/test``, without what was trained on them."""
    data = tmp_path_factory.mktemp("codes") / "data"
    shutil.copytree(run.data, data, ignore=shutil.ignore_patterns("06_models", "07_model_output", "08_reporting"))
    return data


def test_without_a_tokenizer_nothing_runs_and_the_command_that_makes_it_is_said(tmp_path: Path) -> None:
    """Before torch is imported, and before any data are made."""
    data = tmp_path / "data"
    args = ("run", f"--env={ENV}", f"--params=data={data},pretrain.objective.target=codes", "--pipelines=pretrain")
    [outcome] = kedro(Command(args, tmp_path))
    [line] = outcome.errors
    assert line.startswith(
        f"eegfm: error: no tokenizer at {encoder(data, 'tokenizer')}; make it with: kedro run --pipelines=tokenizer "
        f"--env={ENV} --params=data={data}"
    )
    assert outcome.code == 1
    assert "torch" not in outcome.packages
    assert not data.exists()


@pytest.mark.usefixtures("no_images")
def test_a_phase_predicts_the_codes_of_a_tokenizer_that_was_trained_before(data: Path) -> None:
    project_session(ENV, data, CODES).run(pipeline_names=["tokenizer", "pretrain"], tags=["tokenizer", "pretrain"])
    metrics = json.loads((data / "08_reporting/tokenizer/metrics.json").read_text())
    assert {"val_loss", "val_perplexity", "val_used_ratio", "train_r2"} <= metrics.keys()
    assert 0 < metrics["val_used_ratio"] <= 1
    tokenizer = load_checkpoint(encoder(data, "tokenizer"))
    header = read_header(encoder(data, "pretrain"))
    assert header.tokenizer == tokenizer.weights_sha256()
    assert header.parents == (tokenizer.header.as_parent(),)
    assert [target["name"] for target in header.objective["target"]] == ["codes"]
    other = tokenizer.header.model_copy(update={"fingerprint": "another"})
    assert other.record is not None
    made = replace(tokenizer, header=other)
    record = other.record.model_copy(update={"contents": made.identity()})
    save_checkpoint(encoder(data, "tokenizer"), made.with_record(record))
    with pytest.raises(CheckpointError, match=r"was trained from other weights \(tokenizer \w+ -> tokenizer another\)"):
        project_session(ENV, data, CODES).run(tags=["pretrain"])
