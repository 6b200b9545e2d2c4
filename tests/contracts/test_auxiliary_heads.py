"""Auxiliary heads beside any objective: what they see, and what they add."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from backbones import WindowBackbone
from contracts.encoder_cases import MENU, Case, Subject, in_microvolts
from contracts.encoder_cases import make_batch as encoder_batch
from contracts.objective_cases import BRIEF, HEADS, OWN, SMALL, asked, build, context, labels_of
from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.load import new_encoder
from eegfm.nn.context import Context
from eegfm.nn.weights import build_seeded
from eegfm.objectives.base import LossOutput, Objective
from eegfm.objectives.base_config import EncoderFacts
from eegfm.objectives.config import (
    AuxiliaryObjectiveConfig,
    ContrastiveConfig,
    IscConfig,
    JepaConfig,
    MaeConfig,
    MaskedConfig,
    ObjectiveConfig,
    SmartConfig,
    TokenizerConfig,
    Ts2VecConfig,
)
from zoo.stand_in import braindecode_models

MakeBatch = Callable[..., WindowBatch]
GAIN = [{"name": "gain"}]
SPREAD = {"teacher": "none", "regularization": {"name": "vicreg"}}
PASSES: list[tuple[ObjectiveConfig, int]] = [
    (MaskedConfig(auxiliary=HEADS), 1),
    (MaeConfig(auxiliary={**HEADS, "weighting": "uncertainty"}, augment=GAIN), 1),
    (SmartConfig(auxiliary=HEADS), 1),
    (JepaConfig(auxiliary=HEADS), 1),
    (JepaConfig(auxiliary=HEADS, **SPREAD), 0),  # its targets are vectors of the windows that it shows
    (JepaConfig(auxiliary=HEADS, augment=GAIN, **SPREAD), 1),  # its targets are of untouched windows
    (Ts2VecConfig(auxiliary=HEADS, augment=GAIN), 1),
    (TokenizerConfig(auxiliary=HEADS, n_codes=8, d_code=16, n_decoder_layers=1), 0),
    (ContrastiveConfig(auxiliary=HEADS, **BRIEF), 0),
    (ContrastiveConfig(auxiliary=HEADS, complementary_ratio=0.5, **BRIEF), 1),
    (IscConfig(auxiliary=HEADS, augment=GAIN, **BRIEF), 0),
    (AuxiliaryObjectiveConfig(auxiliary=HEADS, augment=GAIN), 0),
]
"""Objectives with heads, and how many passes through the encoder the heads add."""
OBJECTIVES = [config for config, _ in PASSES]


def by_name(config: ObjectiveConfig) -> str:
    return config.name


def built(config: ObjectiveConfig, spec: SignalSpec, make_batch: MakeBatch) -> tuple[Objective, WindowBatch]:
    objective = build(config, spec).eval()
    batch = asked(objective, make_batch(19, 2, n_windows=6))
    objective.setup([batch], context())
    return objective, batch


@pytest.mark.parametrize("config", OBJECTIVES, ids=by_name)
def test_losses_of_heads_are_added_from_features_of_whole_windows(
    config: ObjectiveConfig, spec: SignalSpec, make_batch: MakeBatch
) -> None:
    objective, batch = built(config, spec, make_batch)
    assert objective.auxiliary is not None
    own = objective.compute(batch, context())
    encoded = objective.encoder.encode_with_features(objective.windows(batch, context()))
    mask, values = encoded.features.mask, encoded.features.values
    pooled = torch.stack([v[m].mean(dim=0) for v, m in zip(values, mask, strict=True)])
    heads = objective.auxiliary(pooled, batch["targets"])
    loss, logs, _ = objective(batch, context())
    assert float(loss.detach()) == pytest.approx(float((own.loss + heads.loss).detach()), rel=1e-5)
    assert float(logs["auxiliary_loss"]) == pytest.approx(float(heads.loss.detach()), rel=1e-5)
    if config.name == "auxiliary":
        assert "own_loss" not in logs
    else:
        assert float(logs["own_loss"]) == pytest.approx(float(own.loss.detach()), rel=1e-5)


@pytest.mark.parametrize(("config", "n_added"), PASSES, ids=lambda value: getattr(value, "name", ""))
def test_a_pass_is_added_only_where_whole_windows_were_not_encoded(
    config: ObjectiveConfig, n_added: int, spec: SignalSpec, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective, batch = built(config, spec, make_batch)
    passes, encode, compute = list[str](), objective.encoder.encode, objective.compute

    def counted(*args: object, **kwargs: object) -> Tensor:
        passes.append("encode")
        found: Tensor = encode(*args, **kwargs)
        return found

    def told(batch: WindowBatch, context: Context) -> LossOutput:
        output = compute(batch, context)
        passes.append("own loss")
        return output

    monkeypatch.setattr(objective.encoder, "encode", counted)
    monkeypatch.setattr(objective, "compute", told)
    objective(batch, context())
    assert passes.count("own loss") == 1
    assert len(passes) - 1 - passes.index("own loss") == n_added


def test_heads_without_labels_are_noticed(spec: SignalSpec) -> None:
    backbone = WindowBackbone(new_encoder(SMALL, spec, seed=0), spec)
    with pytest.raises(AssertionError, match=r"labels of its heads, but not \['age', 'sex'\]"):
        build_seeded(OBJECTIVES[0], 0, backbone)


@pytest.mark.parametrize("config", OBJECTIVES, ids=by_name)
def test_heads_change_no_weight_of_the_objective_and_have_their_own(config: ObjectiveConfig, spec: SignalSpec) -> None:
    if config.name == "auxiliary":
        return  # it has no weights but these
    backbone = WindowBackbone(new_encoder(OWN.get(config.name, SMALL), spec, seed=0), spec)
    alone = build_seeded(config.model_copy(update={"auxiliary": None}), 7, backbone).state_dict()
    first, again, other = (
        build_seeded(config, seed, backbone, labels=labels_of(config)).state_dict() for seed in (7, 7, 8)
    )
    assert all(torch.equal(first[name], value) for name, value in alone.items())
    heads = [name for name in first.keys() - alone.keys() if name.endswith("weight")]
    assert len(heads) == 4, "two maps of each head"
    assert all(torch.equal(first[name], again[name]) for name in heads)
    assert not any(torch.equal(first[name], other[name]) for name in heads)


@pytest.mark.parametrize("case", MENU)
def test_heads_alone_train_any_encoder(case: Case) -> None:
    if case.member == "braindecode":
        braindecode_models()
    subject = Subject.of(case)
    spec = subject.spec()
    config = AuxiliaryObjectiveConfig(auxiliary=HEADS)
    config.check_encoder(EncoderFacts.of(subject.light))
    objective = config.build(WindowBackbone(subject.encoder_of(spec), spec), labels=labels_of(config))
    objective.train()
    objective(asked(objective, in_microvolts(encoder_batch(n_windows=4))), context())[0].backward()
    trained = [p for p in objective.encoder.parameters() if p.grad is not None and bool(p.grad.any())]
    assert trained, "the labels reach the encoder"
    assert all(bool(p.grad.isfinite().all()) for p in trained if p.grad is not None)
