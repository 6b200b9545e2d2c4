"""A report is about the encoder that is there: trained here, or imported."""

from pathlib import Path

import numpy as np
import pytest
from kedro.io import DataCatalog, MemoryDataset

from checkpoints import header, imported_header
from eegfm.checkpoint import Checkpoint
from eegfm.io.absent import AbsentDataset
from eegfm.io.checkpoint import CheckpointDataset
from eegfm.pipelines import import_weights, mix, pretrain, probe, report
from eegfm.project.report_parts import MIXTURE, OF_A_TRAINING, OF_IMPORT, leave_out_absent

REPORT = report.create_pipeline(["hbn"], probes={"pretrain": "probe"})
OF_TRAINING = (MIXTURE, *(f"pretrain.{what}" for what in OF_A_TRAINING))


def left_out(folder: Path, pipeline: object = REPORT, phases: tuple[str, ...] = ("pretrain",)) -> set[str]:
    entries = {name: MemoryDataset() for name in (*OF_TRAINING, *OF_IMPORT, "probe.metrics", "splits")}
    catalog = DataCatalog({**entries, "pretrain.encoder": CheckpointDataset(filepath=str(folder / "e.safetensors"))})
    leave_out_absent(pipeline, catalog, phases)
    return {name for name in catalog if isinstance(catalog[name], AbsentDataset)}


def test_the_stored_encoder_decides(tmp_path: Path) -> None:
    encoder = CheckpointDataset(filepath=str(tmp_path / "e.safetensors"))
    assert left_out(tmp_path) == {*OF_IMPORT}
    encoder.save(Checkpoint({"w": np.zeros(2)}, imported_header()))
    assert left_out(tmp_path) == {*OF_TRAINING}
    assert left_out(tmp_path, REPORT, ("pretrain", "adapt")) == {*OF_TRAINING} - {MIXTURE}  # adapt trains on it
    encoder.save(Checkpoint({"w": np.zeros(2)}, header()))
    assert left_out(tmp_path) == {*OF_IMPORT}
    assert left_out(tmp_path, probe.create_pipeline(["hbn"])) == set()


def test_the_run_that_makes_the_encoder_decides(tmp_path: Path) -> None:
    encoder = CheckpointDataset(filepath=str(tmp_path / "e.safetensors"))
    encoder.save(Checkpoint({"w": np.zeros(2)}, imported_header()))
    assert left_out(tmp_path, pretrain.create_pipeline(["hbn"]) + REPORT) == {*OF_IMPORT}
    assert left_out(tmp_path, mix.create_pipeline(["hbn"], ["hbn"]) + REPORT) == {*OF_TRAINING} - {"mixture"}
    encoder.save(Checkpoint({"w": np.zeros(2)}, header()))
    assert left_out(tmp_path, import_weights.create_pipeline() + REPORT) == {*OF_TRAINING}


def test_what_is_left_out_is_none() -> None:
    assert AbsentDataset().exists()
    assert AbsentDataset().load() is None
    with pytest.raises(Exception, match="cannot be an output"):
        AbsentDataset().save(1)
