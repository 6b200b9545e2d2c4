"""The same windows at every validation."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger

from eegfm.adapters.config import NoAdapterConfig
from eegfm.batch import SignalSpec, StoredBatch
from eegfm.encoders.config import PatchTransformerConfig
from eegfm.inference.backbone import new_backbone
from eegfm.objectives.base import LossOutput, Objective
from eegfm.objectives.config import MaskedConfig
from eegfm.recording import Montage
from eegfm.training.logs import reconstructions
from eegfm.training.logs.reconstructions import ReconstructionImages, reconstructed

CPU = torch.device("cpu")


@pytest.fixture
def objective(small: Montage, large: Montage) -> Objective:
    spec = SignalSpec(100.0, {m.name: m for m in (small, large)}, {small.name: 400, large.name: 200})
    encoder = PatchTransformerConfig(d_model=16, head_size=8, n_layers=1, dropout_ratio=0.5)
    backbone = new_backbone(encoder, NoAdapterConfig(), spec, 0, reference="average", bad_channels="mask")
    built: Objective = MaskedConfig(target="signal").build(backbone)
    return built.eval()


@pytest.fixture
def windows(small: Montage, large: Montage) -> dict[str, StoredBatch]:
    def stored(corpus: str, montage: Montage, n_samples: int) -> StoredBatch:
        generator = torch.Generator().manual_seed(0)
        samples = torch.randint(-2000, 2000, (2, n_samples, montage.n_channels), generator=generator)
        return {
            "samples": samples.to(torch.int16),
            "scales_uv": torch.full((2, montage.n_channels), 0.02),
            "recording": torch.arange(2),
            "corpus": corpus,
            "montage": montage.name,
        }

    return {"tuh": stored("tuh", small, 400), "hbn": stored("hbn", large, 200)}


def test_arrays_for_a_plot_by_corpus(objective: Objective, windows: dict[str, StoredBatch], large: Montage) -> None:
    found = reconstructed(objective, windows, 3, CPU)
    assert list(found) == ["hbn", "tuh"]
    shown = found["hbn"]
    assert shown["channel_names"] == list(large.channel_names)
    assert (shown["rate_hz"], shown["patch_samples"]) == (100.0, 100)
    assert shown["target"].shape == shown["prediction"].shape == (2, 5, 2, 100)
    np.testing.assert_allclose(shown["target"].reshape(2, 5, 200), shown["signal_uv"], atol=1e-4)
    again, other = reconstructed(objective, windows, 3, CPU), reconstructed(objective, windows, 4, CPU)
    np.testing.assert_array_equal(again["tuh"]["mask"], found["tuh"]["mask"])
    assert (other["tuh"]["mask"] != found["tuh"]["mask"]).any()


class Silent(Objective):
    """Predicts nothing to show."""

    def compute(self, batch: StoredBatch, context: Any) -> LossOutput:
        raise AssertionError


def test_an_objective_that_shows_nothing_has_none(objective: Objective, windows: dict[str, StoredBatch]) -> None:
    assert reconstructed(Silent(objective.config, objective.backbone), windows, 3, CPU) == {}


def test_what_cannot_be_shown_is_left_out(
    objective: Objective, windows: dict[str, StoredBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objective, "reconstruct", lambda *_: None)
    assert reconstructed(objective, windows, 3, torch.device("cpu")) == {}


def validate(loggers: list[Any], objective: Objective, windows: dict[str, StoredBatch], *, rank: int = 0) -> None:
    precision = SimpleNamespace(forward_context=torch.no_grad)
    trainer: Any = SimpleNamespace(
        loggers=loggers, is_global_zero=rank == 0, precision_plugin=precision, global_step=20
    )
    module: Any = SimpleNamespace(objective=objective, device=CPU, averaged_weights=nullcontext)
    ReconstructionImages(windows, 3).on_validation_epoch_end(trainer, module)


def test_every_validation_adds_an_image_per_corpus(
    objective: Objective, windows: dict[str, StoredBatch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setattr(reconstructions, "reconstruction_image", lambda item: np.zeros((4, 5, 3), dtype=np.uint8))
    random = torch.random.get_rng_state()
    board = TensorBoardLogger(tmp_path, name="tensorboard", version="")
    validate([Mock(), board], objective, windows)
    board.finalize("success")
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert sorted(events.Tags()["images"]) == ["val/reconstruction/hbn", "val/reconstruction/tuh"]
    (image,) = events.Images("val/reconstruction/hbn")
    assert (image.step, image.width, image.height) == (20, 5, 4)
    assert torch.equal(torch.random.get_rng_state(), random)


def test_nothing_is_drawn_without_tensorboard_or_by_other_processes(
    objective: Objective, windows: dict[str, StoredBatch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconstructions, "reconstructed", lambda *_: pytest.fail("reconstructed"))
    validate([Mock()], objective, windows)
    validate([TensorBoardLogger(tmp_path)], objective, windows, rank=1)
