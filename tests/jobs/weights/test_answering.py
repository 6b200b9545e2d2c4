"""Finetuned encoders are exported with their heads, and answer elsewhere what they answer here."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch

from eegfm.adapters.config import ZeroPadConfig
from eegfm.batch import StoredBatch
from eegfm.checkpoint import Checkpoint
from eegfm.encoders.config import EegnetConfig, PatchTransformerConfig
from eegfm.errors import CheckpointError, ConfigError
from eegfm.heads.config import AttentionPoolingConfig, LinearConfig, LogCovarianceConfig, MlpConfig, PerChannelConfig
from eegfm.jobs.weights.answering import Answering, build_exported, load_answers, load_supervised
from eegfm.jobs.weights.config import ExportParams, ImportParams
from eegfm.jobs.weights.export import export, finetuned
from eegfm.jobs.weights.exported import load_exported, read_exported, read_exported_config
from eegfm.jobs.weights.import_weights import import_weights
from eegfm.signal.montages.canonical import canonical_montage
from eegfm.targets import TargetSpec
from exports import checkpoint_of, with_head

ENCODER = PatchTransformerConfig(d_model=16, head_size=8, n_layers=1, patch_s=1.0)
EYES = TargetSpec.of_classes(("closed", "open"))
CHANNELS = canonical_montage("1020_19").channel_names
WHOLE = bool(os.environ.get("EEGFM_EXPORT_MENU"))
HUGGINGFACE = ExportParams(formats=("huggingface",))
SCALE_UV = 0.05
CASES: dict[str, tuple[Any, TargetSpec, Any, dict[str, Any]]] = {
    "binary": (ENCODER, EYES, MlpConfig(), {}),
    "multiclass": (ENCODER, TargetSpec.of_classes("abc"), AttentionPoolingConfig(), {}),
    "multilabel": (ENCODER, TargetSpec("multilabel", ("no", "yes"), ("u", "v")), LogCovarianceConfig(), {}),
    "multioutput": (ENCODER, TargetSpec("multioutput", ("a", "b", "c"), CHANNELS), PerChannelConfig(), {}),
    "regression": (
        ENCODER, TargetSpec("regression", (), ("x", "y"), "s"), LinearConfig(), {"mean": (3.0, -40.0), "sd": (2.0, 9.0)}
    ),
    "whole windows": (EegnetConfig(), EYES, LinearConfig(), {}),
}  # fmt: skip


def stored(n_windows: int, n_samples: int) -> StoredBatch:
    samples = torch.randint(-800, 800, (n_windows, n_samples, 19), generator=torch.Generator().manual_seed(n_windows))
    return {
        "samples": samples.to(torch.int16),
        "scales_uv": torch.full((n_windows, 19), SCALE_UV),
        "recording": torch.arange(n_windows),
        "corpus": "hbn",
        "montage": canonical_montage("1020_19").name,
    }


def recorded_uv(batch: StoredBatch) -> torch.Tensor:
    return batch["samples"].transpose(1, 2).float() * SCALE_UV


def finetuned_case(kind: str) -> Checkpoint:
    encoder, target, head, facts = CASES[kind]
    adapter = ZeroPadConfig(montage="1020_21") if kind == "regression" else None  # padding is part of the program
    return with_head(checkpoint_of(encoder, adapter), target, head, **facts)


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Checkpoint:
    return finetuned_case(request.param)


@pytest.fixture(scope="module")
def eyes() -> Checkpoint:
    return with_head(checkpoint_of(ENCODER), EYES, MlpConfig())


@torch.no_grad()
def test_answers_are_those_of_the_module_that_was_trained(case: Checkpoint, tmp_path: Path) -> None:
    """The module in eegfm takes stored integers, the export microvolts."""
    module, batch = load_supervised(case), stored(5, 800)
    expected = module(batch)
    export(case, HUGGINGFACE, tmp_path)
    for model in (build_exported(case), load_exported(tmp_path)):
        assert isinstance(model, Answering)
        assert model.target == module.supervised.target
        features, encoded, answers = model(recorded_uv(batch))
        torch.testing.assert_close(answers, expected, atol=1e-5, rtol=1e-5)
        assert len(features) == len(encoded) == 5
    torch.testing.assert_close(load_answers(case)(recorded_uv(batch)), expected, atol=1e-5, rtol=1e-5)
    assert answers.shape == (5, *module.supervised.target.output_shape)
    assert answers.std(dim=0).min() > 0


@torch.no_grad()
@pytest.mark.parametrize("kind", list(CASES) if WHOLE else ["regression"])
def test_a_program_answers_windows_of_other_batches_and_lengths(kind: str, tmp_path: Path) -> None:
    checkpoint = finetuned_case(kind)
    report = export(checkpoint, ExportParams(formats=("torch_export",)), tmp_path)
    assert report["outputs"]["answers"] == ["batch", *CASES[kind][1].output_shape]
    assert report["answers"] == CASES[kind][1]._asdict()
    json.dumps(report, allow_nan=False)
    module = load_supervised(checkpoint)
    program = torch.export.load(tmp_path / "encoder.pt2").module()
    is_any_length = report["formats"]["torch_export"]["n_samples"] == "200 times 2 or more"
    assert is_any_length == (kind != "whole windows")
    for n_windows, n_samples in ((5, 400), (1, 2000)) if is_any_length else ((5, 800),):
        batch = stored(n_windows, n_samples)
        torch.testing.assert_close(program(recorded_uv(batch))[2], module(batch), atol=1e-5, rtol=1e-5)


@pytest.mark.skipif(not WHOLE, reason="takes a minute; set EEGFM_EXPORT_MENU=1 to run it")
@torch.no_grad()
@pytest.mark.parametrize("kind", list(CASES))
def test_onnx_answers_too(kind: str, tmp_path: Path) -> None:
    checkpoint = finetuned_case(kind)
    if kind == "multilabel":
        with pytest.raises(CheckpointError, match=r"^encoder patch_transformer with head log_covariance cannot be exp"):
            export(checkpoint, ExportParams(formats=("onnx",)), tmp_path)  # ONNX knows no eigenvalues
        return
    found = export(checkpoint, ExportParams(formats=("onnx",)), tmp_path)["formats"]["onnx"]["n_samples"]
    assert found == (800 if kind in ("multiclass", "whole windows") else "200 times 2 or more")
    session = onnxruntime.InferenceSession(tmp_path / "encoder.onnx")
    assert [output.name for output in session.get_outputs()] == ["features", "encoded", "answers"]
    batch = stored(5, 800 if found == 800 else 2000)
    [by_onnx] = session.run(["answers"], {"recorded_uv": recorded_uv(batch).numpy()})
    torch.testing.assert_close(torch.from_numpy(by_onnx), load_supervised(checkpoint)(batch), atol=1e-3, rtol=1e-3)


def test_low_rank_changes_are_merged(eyes: Checkpoint, tmp_path: Path) -> None:
    """A checkpoint holds merged weights, and its header says how they were trained."""
    objective = {**eyes.header.objective, "lora": {"rank": 2, "alpha": 4.0}}
    changed = Checkpoint(eyes.tensors, eyes.header.model_copy(update={"objective": objective}))
    export(changed, HUGGINGFACE, tmp_path)
    batch = stored(2, 800)
    assert torch.equal(load_answers(read_exported(tmp_path))(recorded_uv(batch)), load_supervised(eyes)(batch))


def test_config_and_card_say_what_is_answered(tmp_path: Path) -> None:
    export(finetuned_case("multioutput"), HUGGINGFACE, tmp_path / "channels")
    objective = read_exported_config(tmp_path / "channels").header.objective
    assert objective["target"] == {"kind": "multioutput", "classes": list("abc"), "outputs": list(CHANNELS), "unit": ""}
    assert objective["head"] == PerChannelConfig().model_dump(mode="json")
    card = (tmp_path / "channels" / "README.md").read_text()
    assert "# EEG encoder with head patch_transformer, abc" in card
    assert "Third output: `answers` (B, 19, 3), for each of Fp1, " in card
    assert ", probabilities of the classes a, b, c. Kind of task: multioutput. Head: name per_channel" in card
    assert "features, encoded, answers = model(recorded_uv)" in card
    assert "Finetuned with eegfm" in card
    export(finetuned_case("regression"), HUGGINGFACE, tmp_path / "numbers")
    assert "`answers` (B, 2), numbers, x, y, in s." in (tmp_path / "numbers" / "README.md").read_text()


def test_an_export_with_a_head_can_be_imported(
    eyes: Checkpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    export(eyes, HUGGINGFACE, tmp_path / "export")
    params = ImportParams.model_construct()
    with caplog.at_level(logging.INFO):
        imported = import_weights(tmp_path / "export" / "model.safetensors", params).checkpoint
    assert "has a head, which is imported too; a training that starts from it leaves the head out" in caplog.text
    batch = stored(2, 800)
    assert torch.equal(load_answers(imported)(recorded_uv(batch)), load_answers(eyes)(recorded_uv(batch)))


def test_an_encoder_without_head_answers_nothing() -> None:
    plain = checkpoint_of(ENCODER)
    assert not isinstance(build_exported(plain), Answering)
    with pytest.raises(CheckpointError, match=r"the checkpoint of pretrain has no head that answers anything"):
        load_answers(plain)


def test_a_task_is_chosen_by_name(eyes: Checkpoint) -> None:
    other = checkpoint_of(ENCODER)
    assert finetuned({"hbn.eyes": eyes}, None) is eyes
    both = {"hbn.eyes": eyes, "hbn.age": other}
    assert finetuned(both, "hbn.age") is other
    with pytest.raises(ConfigError, match=r"export\.task: several tasks are stored, hbn\.age, hbn\.eyes; choose one"):
        finetuned(both, None)
    with pytest.raises(ConfigError, match=r"export\.task: 'eyes' is no task of the stored finetuning, hbn\.age"):
        finetuned(both, "eyes")
    several = {"hbn.eyes": eyes, "hbn.eyes@fold_1": other}
    assert finetuned(several, None) is eyes
    assert finetuned(several, "hbn.eyes@fold_1") is other


def test_a_head_of_other_weights_is_refused(eyes: Checkpoint) -> None:
    tensors = {name: value for name, value in eyes.tensors.items() if name != "objective.token_sd"}
    with pytest.raises(CheckpointError, match=r"1 missing \(objective\.token_sd\)"):
        load_answers(Checkpoint(tensors, eyes.header))
