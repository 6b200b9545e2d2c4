"""Windows that a training on pairs measures, and when it reads samples to know its pairs."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from torch import Tensor

from eegfm.errors import ConfigError
from eegfm.jobs.train import PretrainResult, fit_pretraining, pretraining
from eegfm.training.config import PretrainParams
from eegfm.training.loading.validation_loader import ValidationLoader
from eegfm.training.plans.pairs import within_recording
from noise_corpora import noise_mixture, noise_splits, noise_stores

STORES: Any = noise_stores()
MAIN = noise_mixture(STORES)
SPLITS = noise_splits(MAIN)
RUN: dict[str, Any] = {
    "encoder": {"name": "patch_transformer", "d_model": 16, "head_size": 8, "n_layers": 1},
    "batch_size": 20, "n_steps": 2, "validation_interval_steps": 2, "n_validation_windows": 12, "seed": 3,
    "log_interval_steps": 1, "accelerator": "cpu", "progress_bar": False, "loader": {"verify": "off"},
}  # fmt: skip
PAIRS = {"name": "within_recording", "moments": 2, "cut": "near"}
CONTRAST = {"objective": {"name": "contrastive", "projection": {"hidden": 8, "out": 4}}, "pairs": PAIRS}


def mixture(n_samples: int = 100) -> pd.DataFrame:
    """The cut whose windows are drawn one by one, and another one of shorter windows."""
    main = MAIN.assign(cut="main", segment=0, moment=-1, label=None)
    per = 2000 // n_samples
    near = main.drop_duplicates("recording_id").assign(
        cut="near", start=0, n_samples=n_samples, stride=n_samples, n_windows=per
    )
    table = pd.concat([main, near], ignore_index=True)
    return table.assign(drawn_by="windows", max_windows_per_person=0, is_rounded=True, mix_cut="main")


def params(**changes: Any) -> PretrainParams:
    return PretrainParams.model_validate({**RUN, **changes})


def windows(loader: ValidationLoader, *, measured: bool) -> list[tuple[str, Tensor]]:
    """Corpus and samples of the windows that are scored, or only measured."""
    return [
        (batch["corpus"], window)
        for step in loader
        if step.only_measured == measured
        for batch in step.batches
        for window in batch["samples"]
    ]


def test_every_phase_measures_the_same_windows() -> None:
    table = mixture()
    (_, masked), (_, contrast) = (pretraining(params(**changes), table, SPLITS, STORES) for changes in ({}, CONTRAST))
    shown = windows(masked.val_dataloader(), measured=False)
    besides = windows(contrast.val_dataloader(), measured=True)
    assert not windows(masked.val_dataloader(), measured=True)
    assert {(corpus, len(samples)) for corpus, samples in besides} == {("hbn", 200), ("tuh", 400)}
    key = [(corpus, samples.numpy().tobytes()) for corpus, samples in shown]
    assert sorted(key) == sorted((corpus, samples.numpy().tobytes()) for corpus, samples in besides)
    assert {len(samples) for _, samples in windows(contrast.val_dataloader(), measured=False)} == {100}


@pytest.mark.parametrize(
    ("encoder", "n_samples", "left"),
    [
        ({**RUN["encoder"], "patch_s": 3.0}, 300, set()),
        ({"name": "labram", "n_maps": 4, "n_heads": 5, "n_layers": 1, "max_patches": 1}, 200, {"hbn"}),
    ],
)
def test_windows_that_the_encoder_cannot_take_are_left_out(
    encoder: dict[str, Any], n_samples: int, left: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Patches of 3 s fit into windows of 3 s alone, and one of LaBraM's patches of 2 s into HBN's windows alone."""
    long = params(**CONTRAST, encoder=encoder)
    with caplog.at_level("INFO", "eegfm"):
        _, data = pretraining(long, mixture(n_samples), SPLITS, STORES)
    assert {corpus for corpus, _ in windows(data.val_dataloader(), measured=True)} == left
    assert "tuh: windows of the mixture's cut that the encoder cannot take are not measured" in caplog.text


def test_a_run_reads_samples_when_it_takes_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when it is refused, and not when it is finished; the measures are there then, too."""
    reads: list[str] = []
    find = within_recording.too_wide
    monkeypatch.setattr(within_recording, "too_wide", lambda *args: reads.append(args[0].name) or find(*args))

    def train(table: pd.DataFrame | None = None, **changes: Any) -> PretrainResult:
        table = mixture() if table is None else table
        chosen = params(**{**CONTRAST, **changes})
        return fit_pretraining(table, STORES, chosen, tmp_path, splits=SPLITS)

    with pytest.raises(ConfigError, match=r"freeze\.parts names 'encodr'"):
        train(freeze={"parts": ["encodr"]})
    with pytest.raises(ConfigError, match="publish is best, but the mixture has no window to validate on"):
        train(mixture().query("split == 'train'"), publish="best")
    assert reads == []
    first = train()
    assert len(reads) == 4, "two corpora, to train and to validate on"
    again = train()
    assert len(reads) == 4
    assert again.metrics["val_effective_rank"] == first.metrics["val_effective_rank"] > 1
    assert {"val_alignment_within_recording", "val_top1_within_recording", "val_pooled_sd_tuh"} <= set(first.metrics)
    assert not [name for name in first.metrics if name in ("val_alignment", "val_top1")]
