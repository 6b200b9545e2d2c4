"""A whole small pretraining, from a table of windows to a checkpoint in a file."""

import errno
import json
import os
import signal
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import torch
from lightning import Trainer
from numpy.typing import NDArray
from torch.nn.utils import clip_grads_with_norm_

from eegfm.adapters.config import PerceiverConfig
from eegfm.adapters.load import new_adapter
from eegfm.batch import SignalSpec, StoredBatch
from eegfm.checkpoint import load_checkpoint, save_checkpoint
from eegfm.encoders.config import PatchTransformerConfig
from eegfm.encoders.load import build_encoder, untrained_like
from eegfm.errors import ConfigError, SplitError, TrainingError
from eegfm.inference.backbone import Backbone, load_backbone, rereference_for
from eegfm.inference.encoder_code import encoder_code
from eegfm.jobs.train import PretrainResult, fit_pretraining, pretraining
from eegfm.jobs.train.fingerprint import named
from eegfm.jobs.train.pretrain import Refuse
from eegfm.nn.context import Context
from eegfm.normalizations.config import FixedScaleConfig
from eegfm.objectives.base import LossOutput, Objective
from eegfm.objectives.config import AnyObjectiveConfig, MaeConfig, MaskedConfig
from eegfm.objectives.heads.heads import Labels
from eegfm.plots.figures import reconstruction_figure
from eegfm.recording import BadChannels, Montage
from eegfm.training.blocks import WeightAverageParams
from eegfm.training.config import PretrainParams
from eegfm.training.optimizers.config import AdamWConfig
from eegfm.training.trainer import quieten
from noise_corpora import PARAMS, NoiseStore, make_montage, noise_mixture, noise_splits, noise_stores
from person_tables import short_hash

Fit = Callable[..., PretrainResult]


@pytest.fixture(scope="module")
def stores() -> dict[str, NoiseStore]:
    return noise_stores()


@pytest.fixture(scope="module")
def mixture(stores: dict[str, NoiseStore]) -> pd.DataFrame:
    return noise_mixture(stores)


@pytest.fixture(scope="module")
def fit(mixture: pd.DataFrame, stores: dict[str, NoiseStore], tmp_path_factory: pytest.TempPathFactory) -> Fit:
    splits = noise_splits(mixture)
    runs = tmp_path_factory.mktemp("runs")

    def run(
        table: pd.DataFrame = mixture,
        run_directory: Path = runs,
        *,
        splits: pd.DataFrame = splits,
        refuse: Refuse = lambda fingerprint, identity: None,
        **changes: Any,
    ) -> PretrainResult:
        params = PARAMS.model_copy(update=changes)
        return fit_pretraining(table, stores, params, run_directory, splits=splits, refuse=refuse)

    return run


@pytest.fixture(scope="module")
def result(fit: Fit) -> PretrainResult:
    return fit()


def test_it_learns(result: PretrainResult) -> None:
    history = result.history
    assert history["step"].tolist() == [5, 10, 15, 20, 25, 30]
    assert history["val_loss"].notna().tolist() == [False, False, False, True, False, True]
    assert {"lr", "loss_hbn", "loss_tuh", "val_loss_hbn", "val_loss_tuh"} <= set(history.columns)
    assert result.metrics["val_r2"] > 0.1


def test_each_validation_measures_features(result: PretrainResult) -> None:
    names = sorted(f"val_{name}{end}" for name in ("effective_rank", "pooled_sd") for end in ("", "_hbn", "_tuh"))
    measured = result.history.set_index("step").loc[[20, 30], names]
    assert (measured > 0).all(axis=None)
    assert {name: result.metrics[name] for name in names} == dict(measured.loc[30])


def test_the_run_folder_has_curves_a_table_and_images(result: PretrainResult) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    table = pd.read_csv(result.run_directory / "metrics.csv").set_index("step")
    logged = table[table["train/loss"].notna()]
    np.testing.assert_array_equal(logged["train/loss"], result.history["loss"])
    np.testing.assert_array_equal(logged["val/loss/tuh"], result.history["val_loss_tuh"])
    assert table.index[table["train/loss_epoch"].notna()].tolist() == [7, 14, 21, 28, 30]
    events = EventAccumulator(str(result.run_directory / "tensorboard")).Reload()
    assert set(events.Tags()["scalars"]) == set(table.columns)
    # Files of one second come in any order.
    assert sorted(e.step for e in events.Scalars("val/loss")) == [20, 30]
    for corpus in ("hbn", "tuh"):
        assert sorted(e.step for e in events.Images(f"val/reconstruction/{corpus}")) == [20, 30]


def test_metrics_are_plain_numbers(result: PretrainResult) -> None:
    metrics = json.loads(json.dumps(result.metrics, allow_nan=False))
    assert metrics["corpus_ratio_hbn"] == 0.7
    assert metrics["corpus_ratio_tuh"] == 0.3
    assert metrics["n_steps"] == 30
    assert metrics["n_windows"] == 300
    assert metrics["windows_per_s"] > 0
    assert metrics["train_loss"] == pytest.approx(result.history["loss"].iloc[-1])
    assert metrics["val_loss"] == pytest.approx(result.history["val_loss"].iloc[-1])
    encoder = build_encoder(result.checkpoint)
    assert metrics["n_parameters"] == sum(p.numel() for p in encoder.parameters())


def test_the_checkpoint_is_all_one_needs(result: PretrainResult, stores: dict[str, NoiseStore], tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "encoder.safetensors", result.checkpoint)
    checkpoint = load_checkpoint(tmp_path / "encoder.safetensors")
    header = checkpoint.header
    names = [f"hbn:p{r}" for r in range(6)], [f"tuh:p{r}" for r in (0, 2, 3, 4)]
    assert header.persons == [["TUEG:x", "tuh:p1"], *([name] for of in names for name in of)]
    assert header.signals == sorted(short_hash(f"{c}:p{r}:r") for c, n in (("hbn", 6), ("tuh", 5)) for r in range(n))
    assert header.kept_out == {"invented": ["hbn:probed", "tuh:test"]}
    assert len(header.splits_sha256) == 64
    assert header.corpora == ["hbn", "tuh"]
    assert header.simulated_corpora == ["hbn"]
    assert header.filters == NoiseStore.filters
    assert (header.seed, header.n_steps, header.reference) == (0, 30, "average")
    assert (header.n_persons, header.imported, header.parents, header.license) == (11, None, (), None)
    assert header.normalization == FixedScaleConfig().model_dump(mode="json")
    assert header.versions["torch"] == torch.__version__
    spec = SignalSpec.from_dict(header.signal_spec)
    assert {m.n_channels for m in spec.montages.values()} == {4, 6}
    assert {"objective.mask_token", "objective.targets.log_spectrum.mean"} <= set(checkpoint.tensors)
    assert all(name.startswith(("encoder.", "objective.")) for name in checkpoint.tensors)

    store = stores["hbn"]
    name = next(iter(store.montages))
    recorded: StoredBatch = {
        "samples": torch.from_numpy(store.gather(name, np.array([0]), 200)),
        "scales_uv": torch.from_numpy(store.scales(name)[:1]),
        "recording": torch.zeros(1, dtype=torch.int64),
        "corpus": "hbn",
        "montage": name,
    }
    window = load_backbone(checkpoint).prepare(recorded)
    trained, untrained = build_encoder(checkpoint), untrained_like(checkpoint, 0)
    assert trained(window).shape == (1, 12, 16)
    assert not torch.equal(trained(window), untrained(window))


@pytest.mark.parametrize(
    "leak", [{"person": "tuh:test", "identity": "tuh:test", "recording_id": "tuh:test:r0"}, {"split": "validation"}]
)
def test_a_leak_stops_before_anything_is_trained(
    fit: Fit, mixture: pd.DataFrame, leak: dict[str, str], tmp_path: Path
) -> None:
    leaky = mixture.copy()
    for column, value in leak.items():
        leaky.loc[leaky.index[-1], column] = value
    with pytest.raises(SplitError, match=r"tuh:test.*kept out of training|tuh:p4.*another split"):
        fit(leaky, run_directory=tmp_path)
    assert not list(tmp_path.iterdir())


def test_rows_that_overlap_in_the_store_stop_too(
    fit: Fit, mixture: pd.DataFrame, stores: dict[str, NoiseStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables say that all is well and the store hands out the same rows."""
    monkeypatch.setattr(
        stores["tuh"], "locate", lambda m, ids, starts, n: (starts, np.zeros_like(starts)), raising=False
    )
    with pytest.raises(SplitError, match=r"tuh, montage .*share samples"):
        fit()


def test_reconstructions_are_plain_arrays_of_unseen_persons(
    result: PretrainResult, stores: dict[str, NoiseStore]
) -> None:
    assert set(result.reconstructions) == {"hbn", "tuh"}
    shown = result.reconstructions["hbn"]
    assert shown["signal_uv"].shape == (4, 6, 200)
    assert shown["mask"].shape == (4, 6, 2)
    assert shown["target"].shape == shown["prediction"].shape == (4, 6, 2, 45)
    assert isinstance(shown["signal_uv"], np.ndarray)
    assert shown["channel_names"] == [f"S{k}" for k in range(6)]
    first = stores["hbn"].gather("", np.array([0]), 200)[0].astype(np.float64).T * 0.02
    np.testing.assert_allclose(shown["signal_uv"][0], first - first.mean(axis=0), atol=1e-3)


def test_the_seed_decides_everything(result: PretrainResult, fit: Fit) -> None:
    torch.manual_seed(1234)
    np.random.seed(5)  # noqa: NPY002 - global state must not matter
    again = fit()
    assert again.checkpoint.header == result.checkpoint.header
    assert set(again.checkpoint.tensors) == set(result.checkpoint.tensors)
    for name, value in result.checkpoint.tensors.items():
        np.testing.assert_array_equal(again.checkpoint.tensors[name], value, err_msg=name)
    assert again.run_directory == result.run_directory
    other = fit(seed=1, n_steps=3)
    assert not np.array_equal(
        other.checkpoint.tensors["encoder.patch_embedding.weight"],
        result.checkpoint.tensors["encoder.patch_embedding.weight"],
    )


def test_dropout_and_jitter_follow_from_the_seed_too(fit: Fit) -> None:
    """Through the trainer, with a validation between two steps; global random state comes out as it went in."""
    still = PARAMS.encoder.model_dump()
    encoder = PatchTransformerConfig(
        **still | {"dropout_ratio": 0.2, "drop_path_ratio": 0.2, "position_jitter_m": 0.01}
    )
    found = []
    with torch.random.fork_rng(devices=[]):
        for state, seed in ((1, 0), (2, 0), (1, 1)):
            torch.manual_seed(state)
            before = torch.random.get_rng_state()
            found.append(fit(encoder=encoder, n_steps=4, validation_interval_steps=2, seed=seed))
            assert torch.equal(torch.random.get_rng_state(), before)
    found.append(fit(n_steps=4, validation_interval_steps=2))
    first, again, other, without = (result.checkpoint.tensors for result in found)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    pd.testing.assert_frame_equal(found[0].history, found[1].history)
    assert not np.array_equal(first["objective.mask_token"], other["objective.mask_token"])
    assert not np.array_equal(first["objective.mask_token"], without["objective.mask_token"])


@pytest.mark.parametrize("name", ["sgd", "adam", "lamb", "muon"])
def test_every_optimizer_trains_and_the_seed_decides(fit: Fit, name: str) -> None:
    """AdamW is that of the other tests."""
    chosen = PretrainParams.model_validate({"n_steps": 1, "optimizer": {"name": name, "layer_decay": 0.5}}).optimizer
    first, again = (fit(n_steps=2, n_validation_windows=1, optimizer=chosen) for _ in range(2))
    assert first.metrics["train_loss"] == again.metrics["train_loss"]
    for tensor, value in first.checkpoint.tensors.items():
        np.testing.assert_array_equal(again.checkpoint.tensors[tensor], value, err_msg=tensor)
    untrained = untrained_like(first.checkpoint, 0).state_dict()
    assert all(
        not np.array_equal(first.checkpoint.tensors[f"encoder.{tensor}"], value.numpy())
        for tensor, value in untrained.items()
    )


def test_averaged_weights_are_published(fit: Fit) -> None:
    """Training is the same; what is validated, shown and kept is not that of the last step."""
    last, averaged = (
        fit(n_steps=4, weight_average=choice) for choice in (None, WeightAverageParams(decay=0.5, start_ratio=0))
    )
    assert last.metrics["train_loss"] == averaged.metrics["train_loss"]
    assert last.metrics["val_loss"] != averaged.metrics["val_loss"]
    weight = "encoder.patch_embedding.weight"
    assert not np.array_equal(last.checkpoint.tensors[weight], averaged.checkpoint.tensors[weight])
    shown = [result.reconstructions["hbn"]["prediction"] for result in (last, averaged)]
    assert not np.array_equal(*shown)
    assert last.run_directory != averaged.run_directory


def test_validation_persons_do_not_teach(result: PretrainResult, fit: Fit, mixture: pd.DataFrame) -> None:
    """Fewer validation windows leave weights and statistics as they were."""
    fewer = fit(mixture[(mixture["split"] == "train") | (mixture["start"] == 0)])
    for name, value in result.checkpoint.tensors.items():
        np.testing.assert_array_equal(fewer.checkpoint.tensors[name], value, err_msg=name)
    assert fewer.metrics["val_loss"] != result.metrics["val_loss"]


def test_without_validation_windows(fit: Fit, mixture: pd.DataFrame) -> None:
    alone = fit(mixture[mixture["split"] == "train"], n_steps=3)
    assert not [name for name in alone.metrics if name.startswith("val_")]
    assert alone.history["val_loss"].isna().all()
    assert set(alone.reconstructions) == {"hbn", "tuh"}


def test_epochs_count_all_windows(fit: Fit) -> None:
    # 50 HBN and 20 TUH windows, ten a step
    assert fit(n_steps=None, n_epochs=2).metrics["n_steps"] == 14


def test_the_run_directory_is_named_by_what_decides_the_result(
    result: PretrainResult, fit: Fit, mixture: pd.DataFrame, tmp_path: Path
) -> None:
    assert len(result.run_directory.name) == 12
    assert json.loads((result.run_directory / "params.json").read_text())["params"]["batch_size"] == 10
    assert list((result.run_directory / "tensorboard").glob("events.out.tfevents.*"))
    short = fit(run_directory=tmp_path, n_steps=1)
    reordered = fit(mixture.iloc[::-1], run_directory=tmp_path, n_steps=1)
    assert len({result.run_directory.name, short.run_directory.name, reordered.run_directory.name}) == 3
    assert short.run_directory.parent == tmp_path


def test_a_diverging_run_stops(fit: Fit) -> None:
    with pytest.raises(TrainingError, match=r"loss or gradient of step \d+ is not finite, and \d+ steps"):
        fit(optimizer=AdamWConfig(learning_rate=1e30), max_skipped_steps=3)


def test_statistics_of_broken_samples_stop_before_the_first_step(
    fit: Fit, stores: dict[str, NoiseStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    scales = np.full_like(stores["hbn"].scales(""), np.nan)
    monkeypatch.setattr(stores["hbn"], "scales", lambda montage: scales)
    monkeypatch.setattr(Trainer, "fit", Mock(side_effect=AssertionError))
    found = (
        r"first 16 steps are not finite \(targets\.log_spectrum\.mean, targets\.log_spectrum\.sd\); look for non-finite"
    )
    with pytest.raises(TrainingError, match=found):
        fit()


def test_a_run_that_is_stopped_early_publishes_nothing(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    from eegfm.training.logs.throughput import ThroughputMonitor

    def stop(self: ThroughputMonitor, trainer: Any, *_: Any) -> None:
        trainer.should_stop = True

    monkeypatch.setattr(ThroughputMonitor, "on_train_batch_end", stop)
    with pytest.raises(TrainingError, match=r"stopped after 1 of 30 steps"):
        fit()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_curves_that_cannot_be_written_name_the_run_folder(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.summary.writer.event_file_writer import _AsyncWriterThread
    from tensorboard.summary.writer.record_writer import RecordWriter

    full = Mock(side_effect=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    monkeypatch.setattr(RecordWriter, "write", full)
    with pytest.raises(OSError, match="No space left") as caught:
        fit(run_directory=tmp_path)
    assert Path(caught.value.filename).parent == tmp_path
    for thread in threading.enumerate():  # its error would come in another test
        if isinstance(thread, _AsyncWriterThread):
            thread.join()


def test_sigterm_ends_a_program_that_does_not_handle_it(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    from eegfm.training.logs.throughput import ThroughputMonitor

    monkeypatch.setattr(ThroughputMonitor, "on_train_batch_end", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit) as caught:
        fit()
    assert caught.value.code == 143


def test_the_adapter_is_trained_from_the_first_step_and_saved(fit: Fit) -> None:
    adapter = PerceiverConfig(n_queries=4, d_model=16, patch_s=0.5)
    one, two = (fit(adapter=adapter, n_steps=n, license=f"license {n}").checkpoint for n in (1, 2))
    fresh = new_adapter(adapter, SignalSpec.from_dict(one.header.signal_spec), PARAMS.seed).state_dict(
        prefix="adapter."
    )
    assert {name for name in one.tensors if name.startswith("adapter.")} == fresh.keys()
    assert len(fresh) > 10
    for name, value in fresh.items():
        assert not np.array_equal(one.tensors[name], value.numpy()), name
        assert not np.array_equal(two.tensors[name], one.tensors[name]), name
    assert one.header.license == "license 1"
    assert fit(adapter=adapter, n_steps=1).checkpoint.header.fingerprint == one.header.fingerprint


def test_a_run_is_named_after_its_samples_and_its_code(
    fit: Fit, stores: dict[str, NoiseStore], mixture: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def name(table: pd.DataFrame = mixture) -> str:
        done = fit(table, tmp_path, n_steps=1)
        assert done.run_directory.name == done.checkpoint.header.fingerprint
        return done.run_directory.name

    def changed(recording: int, table: pd.DataFrame = mixture) -> bool:
        before = name(table)
        stores["tuh"].samples[2000 * recording + 1999, 0] ^= 1
        after = name(table)
        stores["tuh"].samples[2000 * recording + 1999, 0] ^= 1
        return before != after

    assert changed(1)
    assert not changed(1, mixture[mixture["recording_id"] != "tuh:p1:r1"])  # it is not trained on
    before = name()
    monkeypatch.setattr("eegfm.jobs.train.fingerprint.module_hashes", lambda *roots, without: {"edited": str(roots)})
    assert name() != before


def test_a_run_is_refused_by_its_name_before_it_leaves_a_trace(
    fit: Fit, result: PretrainResult, tmp_path: Path
) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    def refuse(fingerprint: str, identity: dict[str, Any]) -> None:
        asked.append((fingerprint, identity))
        raise ConfigError("refused")

    with pytest.raises(ConfigError, match="refused"):
        fit(run_directory=tmp_path, refuse=refuse, overwrite=True, license="mit")  # these decide no weight
    assert not list(tmp_path.iterdir())
    [(fingerprint, identity)] = asked
    assert fingerprint == named(identity) == result.run_directory.name == result.checkpoint.header.fingerprint
    assert json.loads((result.run_directory / "params.json").read_text())["identity"] == identity


def test_what_the_processor_cannot_compute_is_refused_before_anything_is_read(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(device: torch.device) -> None:
        raise TrainingError(f"{device} computes wrong")

    monkeypatch.setattr("eegfm.jobs.train.devices.check_bfloat16", refuse)
    monkeypatch.setattr("eegfm.jobs.train.prepare.training_data", None)  # a call of it is an error
    with pytest.raises(TrainingError, match="cpu computes wrong"):
        fit(run_directory=tmp_path, precision="bf16-mixed")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"pretrain\.accelerator is 'cuda', and torch .* finds no GPU"):
        fit(run_directory=tmp_path, precision="bf16-mixed", accelerator="cuda")
    assert not list(tmp_path.iterdir())


def test_the_code_is_that_of_the_first_step(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    from eegfm.training.logs.throughput import ThroughputMonitor

    def edit(self: ThroughputMonitor, *_: Any) -> None:
        for name in ("eegfm.jobs.train.prepare.encoder_code", "eegfm.jobs.train.fingerprint.module_hashes"):
            monkeypatch.setattr(name, lambda *_: {"edited": "meanwhile"})

    monkeypatch.setattr(ThroughputMonitor, "on_train_batch_start", edit)
    expected = encoder_code(PARAMS.encoder, PARAMS.adapter, PARAMS.chosen_normalization)
    assert {"normalizations.base", "normalizations.fixed_scale"} <= expected.keys()
    assert fit(n_steps=1).checkpoint.header.encoder_code == expected


@pytest.mark.parametrize("name", ["patch_transformer", "luna"])
def test_training_in_bfloat16(name: str, mixture: pd.DataFrame, stores: dict[str, NoiseStore], tmp_path: Path) -> None:
    chosen = {"name": name} | ({"n_queries": 2, "d_token": 16, "n_layers": 1} if name == "luna" else {"size": "nano"})
    asked = {**PARAMS.model_dump(), "encoder": chosen, "n_steps": 2, "precision": "bf16-mixed", "gradient_clip": 1e-3}
    result = fit_pretraining(
        mixture, stores, PretrainParams.model_validate(asked), tmp_path, splits=noise_splits(mixture)
    )
    assert np.isfinite(result.metrics["train_loss"])


def test_bfloat16_that_computes_wrong_is_refused_before_training(
    mixture: pd.DataFrame, stores: dict[str, NoiseStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eegfm.training.bfloat16.largest_error", lambda: 1.1)
    asked = {**PARAMS.model_dump(), "n_steps": 2, "precision": "bf16-mixed"}
    with pytest.raises(TrainingError, match=r"set ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16 before python starts"):
        fit_pretraining(mixture, stores, PretrainParams.model_validate(asked), tmp_path, splits=noise_splits(mixture))
    assert not list(tmp_path.rglob("events.out*"))
    plain = PretrainParams.model_validate(asked | {"precision": "32-true"})
    assert fit_pretraining(mixture, stores, plain, tmp_path, splits=noise_splits(mixture)).metrics["n_steps"] == 2


def test_the_gradient_is_clipped(mixture: pd.DataFrame, stores: dict[str, NoiseStore], tmp_path: Path) -> None:
    seen: list[float] = []

    def clip(parameters: Iterable[torch.nn.Parameter], max_norm: float, total_norm: torch.Tensor) -> None:
        kept = list(parameters)
        clip_grads_with_norm_(kept, max_norm, total_norm)
        seen.append(float(torch.cat([p.grad.flatten() for p in kept if p.grad is not None]).norm()))

    asked = {**PARAMS.model_dump(), "n_steps": 3, "gradient_clip": 1e-3}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.utils, "clip_grads_with_norm_", clip)
        fit_pretraining(mixture, stores, PretrainParams.model_validate(asked), tmp_path, splits=noise_splits(mixture))
    assert seen == pytest.approx([1e-3] * 3, rel=1e-2)


class PartlyBadStore(NoiseStore):
    """Noise in which every recording has other bad channels, as loud as is asked for."""

    def __init__(self, montage: Montage, n_recordings: int, seed: int, *, is_simulated: bool, loudness: float) -> None:
        super().__init__(montage, n_recordings, seed, is_simulated=is_simulated)
        self.bad = np.random.default_rng(seed).random((n_recordings, montage.n_channels)) < 0.3
        self.bad[:, :2], self.bad[1] = False, False  # two are good in all recordings, and all in one
        loud = np.repeat(self.bad, 2000, axis=0)
        self.samples[loud] = (self.samples[loud] * loudness).clip(-32_000, 32_000)

    def is_bad(self, montage: str) -> NDArray[np.bool_]:
        return self.bad


@pytest.mark.parametrize(
    ("handling", "objective"),
    [("interpolate", MaskedConfig()), ("mask", MaeConfig(mask_ratio=0.6))],
    ids=["interpolate-masked", "mask-mae"],
)
def test_what_bad_channels_hold_is_not_learned(
    mixture: pd.DataFrame, tmp_path: Path, handling: BadChannels, objective: AnyObjectiveConfig
) -> None:
    """Two trainings on recordings that differ in their bad channels alone end with the same weights."""
    params = PARAMS.model_copy(update={"n_steps": 4, "bad_channels": handling, "objective": objective})
    done = []
    for loudness in (0.1, 30.0):
        stores = {
            "hbn": PartlyBadStore(make_montage(6), 6, 0, is_simulated=True, loudness=loudness),
            "tuh": PartlyBadStore(make_montage(4), 5, 1, is_simulated=False, loudness=loudness),
        }
        assert all(store.bad.any() for store in stores.values())
        done.append(fit_pretraining(mixture, stores, params, tmp_path, splits=noise_splits(mixture)))
    for name, value in done[0].checkpoint.tensors.items():
        np.testing.assert_array_equal(value, done[1].checkpoint.tensors[name], err_msg=name)
    assert done[0].metrics["val_loss"] == done[1].metrics["val_loss"]
    save_checkpoint(tmp_path / "encoder.safetensors", done[0].checkpoint)
    checkpoint = load_checkpoint(tmp_path / "encoder.safetensors")
    assert checkpoint.header.bad_channels == handling
    assert rereference_for(checkpoint.header, stores["hbn"].montages).bad_channels == handling


def partly_bad(nothing_left: dict[str, list[int]]) -> dict[str, PartlyBadStore]:
    """Stores in which some recordings of a corpus have no good channel at all."""
    stores = {
        "hbn": PartlyBadStore(make_montage(6), 6, 0, is_simulated=True, loudness=1.0),
        "tuh": PartlyBadStore(make_montage(4), 5, 1, is_simulated=False, loudness=1.0),
    }
    for corpus, recordings in nothing_left.items():
        stores[corpus].bad[recordings] = True
    return stores


@pytest.mark.parametrize("handling", ["mask", "interpolate"])
def test_recordings_of_which_nothing_is_left_are_left_out_by_name(
    mixture: pd.DataFrame, tmp_path: Path, handling: BadChannels, caplog: pytest.LogCaptureFixture
) -> None:
    stores = partly_bad({"tuh": [1, 3]})
    params = PARAMS.model_copy(update={"n_steps": 4, "bad_channels": handling})
    found = fit_pretraining(mixture, stores, params, tmp_path / "all", splits=noise_splits(mixture))
    [line] = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert line.startswith("tuh: 10 of 25 windows are left out")
    assert "2 of 5 recordings" in line
    assert "tuh:p1:r1, tuh:p3:r3" in line
    rest = mixture[~mixture["recording_id"].isin(["tuh:p1:r1", "tuh:p3:r3"])]
    alone = fit_pretraining(rest, stores, params, tmp_path / "rest", splits=noise_splits(mixture))
    pd.testing.assert_frame_equal(found.history, alone.history)
    assert found.checkpoint.header == alone.checkpoint.header
    for name, value in alone.checkpoint.tensors.items():
        np.testing.assert_array_equal(found.checkpoint.tensors[name], value, err_msg=name)


def test_a_corpus_of_which_nothing_is_left_is_refused_before_training(mixture: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tuh: none of 5 recordings.*tuh:p0:r0, .*tuh:p4:r4.*leave the corpus out"):
        fit_pretraining(mixture, partly_bad({"tuh": [0, 1, 2, 3, 4]}), PARAMS, tmp_path, splits=noise_splits(mixture))
    assert not list(tmp_path.rglob("events*")), "nothing was trained"


def test_a_module_and_its_data_train_in_anybodys_trainer(
    stores: dict[str, NoiseStore], mixture: pd.DataFrame, fit: Fit, tmp_path: Path
) -> None:
    """Without Kedro, with a trainer of Lightning's own making: the same weights to the bit."""
    module, data = pretraining(PARAMS, mixture, noise_splits(mixture), stores)
    quieten()
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, log_every_n_steps=1,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    assert trainer.global_step == 30
    module.save_encoder(tmp_path / "encoder.safetensors")
    saved, expected = load_checkpoint(tmp_path / "encoder.safetensors"), fit().checkpoint
    assert saved.header == expected.header
    assert saved.tensors.keys() == expected.tensors.keys()
    for name, value in expected.tensors.items():
        np.testing.assert_array_equal(saved.tensors[name], value)

    step = next(iter(data.val_dataloader()))
    with torch.no_grad():
        encoded = module.eval()(step.batches[0])
        assert torch.equal(encoded.features.values, load_backbone(saved)(step.batches[0]).features.values)
    assert module.get_encoder() is module.objective.backbone.encoder


class Silent(Objective):
    """Asks for vectors of no length."""

    def __init__(self, config: MaskedConfig, backbone: Backbone, *, labels: Labels) -> None:
        super().__init__(config, backbone, labels=labels)

    def compute(self, batch: StoredBatch, context: Context) -> LossOutput:
        loss = self.backbone(batch).vectors.square().mean()
        return LossOutput(loss, {"loss": loss.detach()})


def test_an_objective_that_reconstructs_nothing_trains_too(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eegfm.objectives.masked.Masked", Silent)
    done = fit(n_steps=2)
    assert done.reconstructions == {}
    assert reconstruction_figure(done.reconstructions, []).to_dict()["data"] == []


def test_what_is_saved_in_between_says_how_far_it_is(
    stores: dict[str, NoiseStore], mixture: pd.DataFrame, tmp_path: Path
) -> None:
    module, data = pretraining(PARAMS, mixture, noise_splits(mixture), stores)
    assert module.checkpoint().header.n_steps == 0
    quieten()
    trainer = Trainer(
        max_steps=7, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, log_every_n_steps=1, limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    module.save_encoder(tmp_path / "encoder.safetensors")
    assert load_checkpoint(tmp_path / "encoder.safetensors").header.n_steps == 7
