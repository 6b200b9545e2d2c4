"""A training that starts from an encoder: every weight is accounted for, and so is every person."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from lightning import Trainer

from eegfm.adapters.config import NoAdapterConfig, PerceiverConfig
from eegfm.ancestry import ImportedWeights
from eegfm.batch import SignalSpec, TrainStep
from eegfm.checkpoint import Checkpoint, load_checkpoint
from eegfm.encoders.config import FembaConfig, LunaConfig, PatchTransformerConfig
from eegfm.errors import CheckpointError, ConfigError, EegfmError, SplitError
from eegfm.io.start_file import StartFileDataset
from eegfm.jobs.train import fit_pretraining, pretraining
from eegfm.normalizations.config import FixedScaleConfig, RobustConfig
from eegfm.objectives.config import MaeConfig, MaskedConfig
from eegfm.recording import Montage
from eegfm.store.layout import StoreFacts
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter
from eegfm.training.blocks import FreezeRule, LoadParams
from eegfm.training.config import PretrainParams
from eegfm.training.module import PretrainModule
from eegfm.training.trainer import quieten
from person_tables import split_table

POSITIONS_M = ((-0.05, 0.05, 0.1), (0.05, 0.05, 0.1), (-0.03, -0.1, 0.05), (0.03, -0.1, 0.05), (0.0, 0.1, 0.06))
CHANNELS = ("F3", "F4", "O1", "O2", "Fz")
FILTERS = {"low_hz": 0.5, "high_hz": 45.0, "notch_hz": None}
# Behind a perceiver all channels of a patch are masked together: its one layer has to look along time, too.
ENCODER = PatchTransformerConfig(attention="full", d_model=16, head_size=8, n_layers=1, dropout_ratio=0.1)
ADAPTER = PerceiverConfig(n_queries=4, d_model=16, patch_s=0.5)
NORMALIZATION = FixedScaleConfig(scale_uv=20.0)  # not that of the encoder
ARCHITECTURE: dict[str, Any] = {
    "encoder": ENCODER, "adapter": ADAPTER, "normalization": NORMALIZATION, "reference": "as_recorded",
}  # fmt: skip
RUN: dict[str, Any] = {
    "batch_size": 4, "validation_interval_steps": 2, "log_interval_steps": 1, "accelerator": "cpu",
    "progress_bar": False, "n_steps": 2,
}  # fmt: skip


@dataclass
class Data:
    """A corpus of four persons: one validated on, three trained on; two more are kept out."""

    stores: dict[str, SignalStore]
    mixture: pd.DataFrame
    splits: pd.DataFrame

    filters: ClassVar[dict[str, float | None]] = FILTERS

    def start(self, start: Checkpoint | None, **params: Any) -> tuple[PretrainModule, Any]:
        return pretraining(PretrainParams(**RUN | params), self.mixture, self.splits, self.stores, phase="adapt",
                           start=start)  # fmt: skip

    def with_splits(self, **split_of: str) -> "Data":
        """The same with other splits of persons."""
        table = {f"sim:{person}": split for person, split in split_of.items()}
        splits = split_table(dict(zip(self.splits["person"], self.splits["split"], strict=True)) | table)
        mixture = self.mixture.assign(split=[table.get(row.person, row.split) for row in self.mixture.itertuples()])
        return replace(self, splits=splits, mixture=mixture[mixture["split"].isin(["train", "validation"])])


def make_data(folder: Path, n_channels: int, *, rate_hz: float = 100.0, low_hz: float = 0.5) -> Data:
    montage = Montage(CHANNELS[:n_channels], POSITIONS_M[:n_channels], (True,) * n_channels, "linked_ears")
    rng, persons = np.random.default_rng(n_channels), [f"sim:p{k}" for k in range(4)]
    facts = StoreFacts(rate_hz=rate_hz, is_simulated=True, filters=FILTERS | {"low_hz": low_hz})
    with StoreWriter(folder, facts) as writer:
        for person in persons:
            samples = rng.normal(0, 1000, (800, n_channels)).astype(np.int16)
            scales_uv = np.full(n_channels, 0.01, dtype=np.float32)
            writer.commit(
                recording_id=f"{person}:r", key="", montage=montage, samples=samples, scales_uv=scales_uv, facts={},
                events=[],
            )  # fmt: skip
    rows = {
        "recording_id": [f"{person}:r" for person in persons],
        "corpus": "sim",
        "montage": montage.name,
        "person": persons,
        "identity": persons,
        "start": 0,
        "n_samples": 200,
        "stride": 200,
        "n_windows": 4,
        "weight": 1.0,
        "split": ["validation", "train", "train", "train"],
    }
    mixture = pd.DataFrame(rows)
    splits = dict(zip(mixture["person"], mixture["split"], strict=True)) | {"sim:new": "test", "sim:out": "excluded"}
    return Data({"sim": SignalStore(folder)}, mixture, split_table(splits))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return make_data(tmp_path_factory.mktemp("first"), 4)


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Another montage."""
    return make_data(tmp_path_factory.mktemp("later"), 5)


def train(module: PretrainModule, data: Any) -> PretrainModule:
    quieten()
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, log_every_n_steps=1,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    return module


@pytest.fixture(scope="module")
def trained(first: Data) -> PretrainModule:
    return train(*pretraining(PretrainParams(**ARCHITECTURE, **RUN), first.mixture, first.splits, first.stores))


@pytest.fixture(scope="module")
def start(trained: PretrainModule) -> Checkpoint:
    return trained.checkpoint()


def first_loss(module: PretrainModule, step: TrainStep) -> float:
    return sum(share * float(output.loss.detach()) for _, share, output in module.losses(step))


@pytest.mark.parametrize("objective", [MaskedConfig(), MaeConfig(mask_ratio=0.5)], ids=["masked", "mae"])
def test_the_first_loss_is_what_the_start_gives(objective: Any, first: Data) -> None:
    """Of the same windows and masks, dropout on, to the bit: nothing is fresh, no statistic is estimated anew."""
    params = ARCHITECTURE | {"adapter": PretrainParams(n_steps=1).adapter, "objective": objective}
    before = train(*pretraining(PretrainParams(**params, **RUN), first.mixture, first.splits, first.stores))
    # Other windows give other statistics.
    others = first.with_splits(p1="excluded")
    module, data = others.start(before.checkpoint(), objective=objective)
    step = next(iter(data.train_dataloader()))
    assert first_loss(module.train(), step) == first_loss(before.train(), step)
    fresh, _ = others.start(None, **params)
    assert first_loss(fresh.train(), step) != first_loss(before.train(), step)


def test_the_header_says_what_it_started_from(start: Checkpoint, later: Data, tmp_path: Path) -> None:
    params = PretrainParams(**RUN)
    done = fit_pretraining(
        later.mixture, later.stores, params, tmp_path, splits=later.splits, phase="adapt", start=start
    )
    header, n = done.checkpoint.header, len(start.tensors)
    assert (header.phase, header.encoder, header.reference) == ("adapt", start.header.encoder, "as_recorded")
    assert header.normalization == start.header.normalization
    assert [(parent.phase, parent.fingerprint) for parent in header.parents] == [("pretrain", start.header.fingerprint)]
    assert header.start == {
        "phase": "pretrain",
        "fingerprint": start.header.fingerprint,
        "n_steps": 2,
        "weights_sha256": start.weights_sha256(),
        "accepted": {},
        "summary": f"{n} of {n} weights matched",
        "n_needed": n,
        "matched": sorted(start.tensors),
        "missing": [],
        "unexpected": [],
        "left_out": [],
        "objective": "start",
        "test_persons": [],
        "validation_persons": [],
    }
    counts = {name: value for name, value in done.metrics.items() if "start" in name or name.startswith("n_m")}
    assert counts == {"n_matched": n, "n_test_persons_of_start": 0, "n_validation_persons_of_start": 0, "n_missing": 0}
    assert header.n_persons == 4, "persons with the same name are the same"
    assert {m["channel_names"][-1] for m in header.signal_spec["montages"].values()} == {"Fz"}
    assert done.checkpoint.tensors.keys() == start.tensors.keys()
    scratch = fit_pretraining(
        later.mixture, later.stores, PretrainParams(**ARCHITECTURE, **RUN), tmp_path, splits=later.splits,
        phase="adapt",
    )  # fmt: skip
    assert scratch.run_directory != done.run_directory
    assert scratch.checkpoint.header.start is None
    assert "n_matched" not in scratch.metrics


def test_persons_of_the_start_are_inherited(start: Checkpoint, later: Data) -> None:
    data = later.with_splits(p2="excluded")
    header = data.start(start)[0].header
    assert header is not None
    assert header.persons == [[f"sim:p{k}"] for k in range(4)]
    assert header.kept_out == {"invented": ["sim:new", "sim:out"]}


def test_test_persons_that_the_start_has_seen(start: Checkpoint, later: Data) -> None:
    data = later.with_splits(p2="test")
    with pytest.raises(SplitError, match=r"^adapt starts from .* trained on 1 persons who are tested here: sim:p2; .*"):
        data.start(start)
    module, _ = data.start(start, load=LoadParams(allow_test_persons=True))
    assert module.header is not None
    assert module.header.start is not None
    assert module.header.start["test_persons"] == ["sim:p2"]
    assert module.header.start["accepted"] == {"allow_test_persons": True}
    assert ["sim:p2"] in (module.header.persons or [])


def test_validation_persons_that_a_start_of_other_splits_has_seen(
    start: Checkpoint, later: Data, caplog: pytest.LogCaptureFixture
) -> None:
    module, _ = later.with_splits(p0="train", p1="validation").start(start)
    assert module.header is not None
    assert module.header.start is not None
    assert module.header.start["validation_persons"] == ["sim:p1"]
    assert "other splits, which has seen 1 persons who are validated on here: sim:p1" in caplog.text


def refusal(data: Data, start: Checkpoint | None, kind: type[EegfmError], **params: Any) -> str:
    with pytest.raises(kind) as info:
        data.start(start, **params)
    line = str(info.value)
    assert "\n" not in line
    return line


def test_what_the_start_decides_is_left_out_or_the_same(start: Checkpoint, later: Data) -> None:
    module, _ = later.start(start, **ARCHITECTURE, bad_channels="mask")
    assert module.params.encoder == ENCODER
    for name, value, said in (
        ("encoder", ENCODER.model_copy(update={"n_layers": 2}), "encoder.n_layers is 2, that of the start is 1"),
        ("encoder", LunaConfig(), "encoder.name is 'luna', that of the start is 'patch_transformer'"),
        ("adapter", NoAdapterConfig(), "adapter.name is 'none', that of the start is 'perceiver'"),
        (
            "normalization",
            NORMALIZATION.model_copy(update={"clip": None}),
            "normalization.clip is None, that of the start is 15.0",
        ),
        ("reference", "average", "reference is 'average', that of the start is 'as_recorded'"),
        ("bad_channels", "interpolate", "bad_channels is 'interpolate', that of the start is 'mask'"),
    ):
        line = refusal(later, start, ConfigError, **{name: value})
        assert line == f"parameter adapt.{said}; leave adapt.{name} out, or start from another encoder"


def altered(start: Checkpoint, change: Callable[[dict[str, Any]], Any]) -> Checkpoint:
    tensors = dict(start.tensors)
    change(tensors)
    return Checkpoint(tensors, start.header)


def test_a_start_is_loaded_strictly(start: Checkpoint, later: Data) -> None:
    name = next(name for name in start.tensors if name.startswith("encoder.layers.0."))
    remedy = "name what may differ in adapt.load (allow_missing, allow_unexpected), or start from another encoder"
    lacking = altered(start, lambda tensors: tensors.pop(name))
    line = refusal(later, lacking, CheckpointError)
    assert line == f"weights do not fit the start of adapt: 1 missing ({name}); {remedy}"
    more = altered(start, lambda tensors: tensors.update({"head.bias": np.zeros(2, np.float32)}))
    assert "1 unexpected (head.bias)" in refusal(later, more, CheckpointError)
    odd = altered(start, lambda tensors: tensors.update({name: np.zeros((2, 3), np.float32)}))
    allowed = LoadParams(allow_missing=("encoder",), allow_unexpected=("encoder",))
    for load in (LoadParams(), allowed):
        assert f"1 of another shape ({name} is (2, 3), needs" in refusal(later, odd, CheckpointError, load=load)

    module, _ = later.start(lacking, load=LoadParams(allow_missing=("encoder.layers",)))
    assert module.header is not None
    assert module.header.start is not None
    assert module.header.start["missing"] == [name]
    assert module.header.start["matched"] == sorted(start.tensors.keys() - {name})
    module, _ = later.start(more, load=LoadParams(allow_unexpected=("head",)))
    assert module.header is not None
    assert module.header.start is not None
    assert module.header.start["unexpected"] == ["head.bias"]


@pytest.mark.parametrize("key", ["allow_missing", "allow_unexpected"])
def test_exceptions_that_nothing_needs_are_refused(key: str, start: Checkpoint, later: Data) -> None:
    load = LoadParams.model_validate({key: ["encoder.layers.7"]})
    assert f"{key} names what nothing needs (encoder.layers.7)" in refusal(later, start, CheckpointError, load=load)
    assert refusal(later, None, ConfigError, load=load).startswith(
        f"adapt.load is {{'{key}': ['encoder.layers.7']}}, but nothing is loaded: adapt starts from scratch; leave"
    )


def test_another_objective_has_fresh_weights_of_its_own(start: Checkpoint, later: Data) -> None:
    objective = MaskedConfig(mask_ratio=0.4)
    module, _ = later.start(start, objective=objective)
    fresh, _ = later.start(None, objective=objective, **ARCHITECTURE)
    found, new = module.checkpoint().tensors, fresh.checkpoint().tensors
    for name, value in found.items():
        expected = new if name.startswith("objective.") else start.tensors
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
    assert module.header is not None
    assert module.header.start is not None
    own = sorted(name for name in start.tensors if name.startswith("objective."))
    assert (module.header.start["objective"], module.header.start["left_out"]) == ("fresh", own)
    assert not np.array_equal(found["objective.mask_token"], start.tensors["objective.mask_token"])


@pytest.mark.parametrize(
    ("names", "said"), [(("F", "M"), "start"), (("M", "X"), "fresh")], ids=["same classes", "other classes"]
)
def test_auxiliary_heads_are_taken_over_where_their_classes_are_the_same(
    first: Data, later: Data, names: tuple[str, str], said: str
) -> None:
    def labelled(data: Data, names: tuple[str, str], ages: list[float]) -> Data:
        sexes = [names[0], *names, names[1]]
        return replace(data, mixture=data.mixture.assign(label_sex=sexes, label_age=ages))

    objective = MaskedConfig(auxiliary={"heads": ["age", "sex"]})
    before, _ = labelled(first, ("F", "M"), [1.0, 10.0, 20.0, 60.0]).start(None, objective=objective, **ARCHITECTURE)
    module, _ = labelled(later, names, [1.0, 5.0, 6.0, 7.0]).start(before.checkpoint(), objective=objective)
    assert module.header is not None
    assert module.header.start is not None
    assert module.header.start["objective"] == said
    assert module.header.labels == {"age": (), "sex": names}
    # Statistics go with the weights that were trained on them.
    mean = float(module.checkpoint().tensors["objective.auxiliary.heads.0.mean"])
    assert mean == pytest.approx(30.0 if said == "start" else 6.0)


def test_an_imported_start_leaves_its_persons_unknown(start: Checkpoint, later: Data) -> None:
    """No objective trained it here, and nobody knows whom it has seen."""
    unknown = dict.fromkeys(("persons", "signals", "kept_out", "n_persons", "splits_sha256"))
    origin = ImportedWeights(source="https://example.org", file_sha256="0" * 64)
    changes = {"imported": origin, "phase": "imported", "objective": {}, "license": "mit", **unknown}
    own = Checkpoint(
        {name: value for name, value in start.tensors.items() if not name.startswith("objective.")},
        start.header.model_copy(update=changes),
    )
    header = later.start(own)[0].header
    assert header is not None
    assert header.start is not None
    assert (header.start["objective"], header.start["left_out"]) == ("fresh", [])
    assert len(header.start["matched"]) == header.start["n_needed"] == len(own.tensors)
    assert (header.imported, header.n_persons, header.license) == (None, None, "mit")
    assert [parent.imported for parent in header.parents] == [origin]
    assert header.persons == [[f"sim:p{k}"] for k in range(4)]


def test_an_objective_that_does_not_suit_the_start(start: Checkpoint, later: Data) -> None:
    header = start.header.model_copy(update={"encoder": FembaConfig().model_dump(mode="json")})
    line = refusal(later, Checkpoint(start.tensors, header), ConfigError, objective=MaeConfig())
    assert line.startswith("adapt starts from encoder femba: objective mae encodes visible tokens only, encoder femba ")
    other = Checkpoint(start.tensors, start.header.model_copy(update={"encoder": {"name": "lunna"}}))
    assert refusal(later, other, CheckpointError).startswith("the start's configuration is not on the menu: encoder")


def test_advice_against_leaks_names_nothing_that_the_start_decides(start: Checkpoint, later: Data) -> None:
    leaking = start.header.model_copy(update={"normalization": RobustConfig().model_dump(mode="json")})
    line = refusal(later, Checkpoint(start.tensors, leaking), ConfigError)
    assert line.startswith("adapt starts from encoder patch_transformer: objective masked masks patches, but every tok")
    assert "; start from an encoder with normalization.name: fixed_scale, or set objective.allow_leaks: true" in line
    unsaid = start.header.model_copy(update={"normalization": {"name": "robust"}})
    assert "does not say clip, " in refusal(later, Checkpoint(start.tensors, unsaid), CheckpointError)
    femba = start.header.model_copy(update={"encoder": FembaConfig().model_dump(mode="json")})
    line = refusal(later, Checkpoint(start.tensors, femba), ConfigError, objective=MaeConfig())
    assert line.endswith("choose objective masked, which replaces them, or start from an encoder such as patch_transf"
                         "ormer")  # fmt: skip


def test_signals_are_those_of_the_start(start: Checkpoint, tmp_path: Path) -> None:
    assert "trained at 100 Hz and the signals are stored at 200 Hz; ingest the corpora of adapt" in refusal(
        make_data(tmp_path / "rate", 4, rate_hz=200.0), start, CheckpointError
    )
    line = refusal(make_data(tmp_path / "filter", 4, low_hz=1.0), start, CheckpointError)
    assert "'low_hz': 0.5" in line
    assert line.endswith("ingest the corpora of adapt with the encoder's signal parameters")


def test_other_code_is_refused_or_accepted(start: Checkpoint, later: Data) -> None:
    code = dict.fromkeys(start.header.encoder_code, "0")
    other = Checkpoint(start.tensors, start.header.model_copy(update={"encoder_code": code}))
    assert "or set adapt.load.accept_other_code=true" in refusal(later, other, CheckpointError)
    later.start(other, load=LoadParams(accept_other_code=True))


def test_an_encoder_that_is_tied_to_one_montage_meets_another(start: Checkpoint, first: Data, later: Data) -> None:
    encoder, adapter = FembaConfig(), PretrainParams(n_steps=1).adapter
    changes = {
        "encoder": encoder.model_dump(mode="json"),
        "adapter": adapter.model_dump(mode="json"),
        "encoder_spec": start.header.signal_spec,
    }
    tied = Checkpoint(start.tensors, start.header.model_copy(update=changes))
    accepted = {"objective": MaskedConfig(allow_leaks=True), "load": LoadParams(accept_other_code=True)}
    line = refusal(later, tied, CheckpointError, **accepted)
    assert line.startswith("the encoder is tied to 4 channels in this order: F3, F4, O1, O2; windows of montage ")
    assert "have 5: F3, F4, O1, O2, Fz" in line
    spec = SignalSpec.from_dict(start.header.signal_spec)
    longer = replace(spec, n_samples=dict.fromkeys(spec.n_samples, 400)).to_dict()
    tied = Checkpoint(start.tensors, tied.header.model_copy(update={"encoder_spec": longer}))
    line = refusal(first, tied, CheckpointError, **accepted)
    assert line.startswith("windows of 200 samples: the start is tied to windows of 400 samples; cut all corpora of")


def test_a_frozen_adapter_stays_that_of_the_start(start: Checkpoint, later: Data) -> None:
    """Masked, then masked with a frozen adapter, in a trainer of one's own too."""
    module = train(*later.start(start, freeze=FreezeRule(parts=("adapter",))))
    found = module.checkpoint().tensors
    is_same = {name: np.array_equal(value, start.tensors[name]) for name, value in found.items()}
    assert all(is_same[name] for name in found if name.startswith("adapter."))
    assert not any(is_same[name] for name in found if name.startswith("encoder.layers.0."))
    free = train(*later.start(start)).checkpoint().tensors
    moved = [name for name in free if not np.array_equal(free[name], start.tensors[name])]
    assert {name for name in moved if name.startswith("adapter.") and name.endswith("bias")}, "by more than decay"
    assert refusal(later, start, ConfigError, freeze=FreezeRule(parts=("adaptor",))).startswith(
        "adapt.freeze.parts names 'adaptor', which has no weights; there are "
    )


@pytest.fixture
def saved(trained: PretrainModule, tmp_path: Path) -> Path:
    trained.save_encoder(tmp_path / "encoder.pt")
    return tmp_path / "encoder.pt"


def test_a_saved_encoder_is_a_start(trained: PretrainModule, saved: Path, later: Data) -> None:
    loaded = StartFileDataset(filepath=str(saved)).load()
    assert loaded.identity() == trained.checkpoint().identity()
    later.start(loaded)
    trained.save_encoder(saved.with_suffix(".safetensors"))
    assert load_checkpoint(saved.with_suffix(".safetensors")).identity() == loaded.identity()
    with pytest.raises(CheckpointError, match=r"encoder\.onnx: encoders are written to files that end in \.safetens"):
        trained.save_encoder(saved.with_suffix(".onnx"))
    assert not saved.with_suffix(".onnx").exists()


def test_global_random_state_is_left_as_it_is(start: Checkpoint, later: Data) -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    later.start(start)
    assert torch.equal(torch.random.get_rng_state(), before)
