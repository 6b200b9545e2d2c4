"""Published weights become checkpoints: strictly, and without a word about what nobody knows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import eegfm.jobs.weights.import_weights
from eegfm.batch import SignalSpec
from eegfm.checkpoint import load_checkpoint, save_checkpoint
from eegfm.encoders.config import PatchTransformerConfig
from eegfm.encoders.key_map import KeyMap
from eegfm.encoders.load import build_encoder, new_encoder
from eegfm.encoders.patch_transformer.model import PatchTransformer
from eegfm.errors import CheckpointError, ConfigError
from eegfm.jobs.weights.config import ImportParams
from eegfm.jobs.weights.import_weights import ImportResult, import_weights
from eegfm.normalizations.config import FixedScaleConfig
from eegfm.signal.montages.canonical import canonical_montage
from encoders.cbramod import test_key_map as test_cbramod
from encoders.femba import test_key_map as test_femba
from encoders.labram import test_key_map as test_labram
from encoders.luna import test_key_map as test_luna

CONFIG = PatchTransformerConfig(d_model=16, head_size=8, n_layers=2)
PARAMS = ImportParams(
    encoder=CONFIG,
    montage="1020_19",
    rate_hz=100,
    window_s=4,
    filters={"low_hz": 0.5, "high_hz": 45},
    corpora=["tueg", "hbn"],
    note="by hand",
)
MAP = KeyMap(source="a test", license="mit", rules=((r"net\.(.*)", r"\1"),), left_out=(r"head\..*",))
Arrays = dict[str, Any]


@pytest.fixture
def state() -> Arrays:
    montage = canonical_montage("1020_19")
    spec = SignalSpec(100.0, {montage.name: montage}, {montage.name: 400})
    return {n: v.numpy() for n, v in new_encoder(CONFIG, spec, seed=5).state_dict(prefix="net.").items()}


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ImportResult]:
    monkeypatch.setattr(eegfm.jobs.weights.import_weights, "key_map", lambda config: MAP)

    def run(arrays: Arrays, *, suffix: str = ".safetensors", **changes: Any) -> ImportResult:
        path = tmp_path / f"foreign{suffix}"
        if suffix == ".safetensors":
            save_file(arrays, path)
        else:
            torch.save({"state_dict": {n: torch.from_numpy(np.array(v)) for n, v in arrays.items()}}, path)
        return import_weights(path, ImportParams.model_validate(PARAMS.model_dump() | changes))

    return run


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_a_file_becomes_a_checkpoint(
    load: Callable[..., ImportResult], state: Arrays, tmp_path: Path, suffix: str
) -> None:
    done = load(state | {"head.w": np.ones(2, dtype=np.float32)}, suffix=suffix)
    save_checkpoint(tmp_path / "encoder.safetensors", done.checkpoint)
    encoder = build_encoder(load_checkpoint(tmp_path / "encoder.safetensors"))
    for name, value in encoder.state_dict(prefix="net.").items():
        np.testing.assert_array_equal(value.numpy(), state[name])
    assert done.report["summary"] == f"{len(state)} of {len(state)} weights matched; 1 left out (head.w)"
    assert json.loads(json.dumps(done.report)) == done.report


def test_the_header_says_what_is_known_and_what_is_not(load: Callable[..., ImportResult], state: Arrays) -> None:
    header = load(state).checkpoint.header
    assert header.phase == "imported"
    assert header.encoder == CONFIG.model_dump(mode="json")
    assert (header.corpora, header.license) == (["hbn", "tueg"], "mit")
    assert header.filters == {"low_hz": 0.5, "high_hz": 45.0, "notch_hz": None}
    assert header.normalization == FixedScaleConfig().model_dump(mode="json")
    assert header.imported is not None
    assert (header.imported.source, header.imported.note) == ("a test", "by hand")
    assert len(header.imported.file_sha256) == 64
    unknown = (header.n_persons, header.persons, header.signals, header.kept_out, header.n_steps, header.splits_sha256)
    assert set(unknown) == {None}
    assert header.parents == ()
    [montage] = header.signal_spec["montages"].values()
    assert len(montage["channel_names"]) == len(montage["positions_m"]) == 19
    assert load(state, license="none of any kind").checkpoint.header.license == "none of any kind"
    assert load(state, note="x").checkpoint.header.fingerprint != header.fingerprint


def test_what_does_not_fit_is_refused(load: Callable[..., ImportResult], state: Arrays) -> None:
    wrong = state | {"net.final_norm.weight": np.zeros(15, dtype=np.float32), "odd": np.zeros(1, dtype=np.float32)}
    del wrong["net.final_norm.bias"]
    with pytest.raises(CheckpointError) as caught:
        load(wrong)
    text = str(caught.value)
    assert text.startswith("weights do not fit the encoder patch_transformer: 1 missing (final_norm.bias); ")
    assert "1 unexpected (odd); 1 of another shape (final_norm.weight is (15,), needs (16,))" in text
    assert "set import.encoder to the architecture of the file" in text


def test_named_exceptions_are_taken_and_reported(
    load: Callable[..., ImportResult], state: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    state["odd.w"] = np.zeros(1, dtype=np.float32)
    del state["net.final_norm.weight"]
    state["net.final_norm.bias"] = np.arange(8, dtype=np.float32)
    weights = {"allow_missing": ["final_norm.w"], "allow_unexpected": ["odd."], "resize": {"final_norm.bias": 0}}
    with pytest.raises(ConfigError, match=r"resize: final_norm\.bias is no table of positions .*there are: none"):
        load(state, weights=weights)
    monkeypatch.setattr(PatchTransformer, "positional_tables", ("final_norm.bias",))
    done = load(state, weights=weights)
    assert done.report["missing"] == ["final_norm.weight"]
    assert done.report["unexpected"] == ["odd.w"]
    assert done.report["resized"] == ["final_norm.bias from (8,) to (16,)"]
    np.testing.assert_allclose(done.checkpoint.tensors["encoder.final_norm.bias"], np.linspace(0, 7, 16), atol=1e-6)


def test_electrodes_keep_the_order_of_the_weights(load: Callable[..., ImportResult], state: Arrays) -> None:
    header = load(state, montage={"electrodes": ["T4", "EEG Fp1-REF", "Oz"]}).checkpoint.header
    [montage] = header.signal_spec["montages"].values()
    assert montage["channel_names"] == ["T8", "Fp1", "Oz"]
    with pytest.raises(ConfigError, match=r"import\.montage\.electrodes: 1 are not in layout 1005 \(E7\)"):
        load(state, montage={"electrodes": ["Cz", "E7"]})
    with pytest.raises(ConfigError, match=r"import\.montage\.electrodes: T7 are listed more than once"):
        load(state, montage={"electrodes": ["T3", "T7"]})


def test_parameters_that_cannot_work_are_refused(load: Callable[..., ImportResult], state: Arrays) -> None:
    with pytest.raises(ConfigError, match=r"import\.window_s 1\.005 is no whole number .* nearest: 1$"):
        load(state, window_s=1.005)
    with pytest.raises(ConfigError, match=r"import\.adapter perceiver has weights of its own"):
        load(state, adapter={"name": "perceiver"})
    header = load(state, adapter={"name": "interpolate", "montage": "1020_21"}).checkpoint.header
    [montage] = header.encoder_spec["montages"].values()
    assert len(montage["channel_names"]) == 21


def _luna() -> tuple[Arrays, dict[str, Any]]:
    shapes = test_luna.published_shapes(2, 32, 1) | test_luna.pretraining_shapes(32)
    encoder = {"name": "luna", "n_queries": 2, "d_token": 32, "n_layers": 1}
    return test_cbramod.generated(shapes), {"encoder": encoder, "rate_hz": 256, "window_s": 320 / 256}


def _femba() -> tuple[Arrays, dict[str, Any]]:
    electrodes = {"electrodes": ["Fp1", "Fp2", "C3", "C4", "O1", "O2"]}
    encoder = {"name": "femba", "d_token": 5, "n_layers": 2}
    return test_femba.published("decoder"), {
        "encoder": encoder,
        "rate_hz": 256,
        "window_s": 0.75,
        "montage": electrodes,
    }


def _labram() -> tuple[Arrays, dict[str, Any]]:
    encoder = {"name": "labram", "channels": "names", "n_layers": 1}
    return test_cbramod.generated(test_labram.pretrained_shapes(1)), {"encoder": encoder, "rate_hz": 200}


def _cbramod() -> tuple[Arrays, dict[str, Any]]:
    encoder = {"name": "cbramod", "n_layers": 1}
    return test_cbramod.generated(test_cbramod.published_shapes(1)), {"encoder": encoder, "rate_hz": 200}


@pytest.mark.parametrize("published", [_luna, _femba, _labram, _cbramod], ids=["luna", "femba", "labram", "cbramod"])
@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_published_layouts(tmp_path: Path, published: Callable[[], Any], suffix: str) -> None:
    arrays, changes = published()
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    path = tmp_path / f"published{suffix}"
    if suffix == ".ckpt":
        tensors = {f"model.{name}": torch.from_numpy(np.array(value)) for name, value in arrays.items()}
        torch.save({"state_dict": tensors, "epoch": 1}, path)
    else:
        save_file(arrays, path)
    done = import_weights(path, ImportParams.model_validate(PARAMS.model_dump() | changes))
    report = done.report
    assert len(report["matched"]) == report["n_needed"] > 20
    assert not [*report["missing"], *report["unexpected"], *report["mismatched"], *report["resized"]]
    encoder = build_encoder(done.checkpoint)
    for key, choice in encoder.config.published.items():
        assert (done.checkpoint.header.encoder[key], getattr(encoder.config, key)) == (choice, choice)
    assert bool(encoder.leaks) == (encoder.config.name != "femba")
    first = next(iter(arrays))
    broken = {name: value for name, value in arrays.items() if name != first} | {f"{first}_odd": arrays[first]}
    save_file(broken, tmp_path / "broken.safetensors")
    with pytest.raises(CheckpointError, match=rf"unexpected \({first}_odd\)"):
        import_weights(tmp_path / "broken.safetensors", ImportParams.model_validate(PARAMS.model_dump() | changes))
