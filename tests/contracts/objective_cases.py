"""Objectives of every kind for contract tests, and windows that each can learn from."""

from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin

import torch
from torch import Tensor, nn

from backbones import WindowBackbone
from eegfm.batch import Pairs, SignalSpec, WindowBatch
from eegfm.config import Buildable
from eegfm.encoders.config import LabramConfig, PatchTransformerConfig
from eegfm.encoders.load import new_encoder
from eegfm.mixture.labels import LabelFacts
from eegfm.nn.context import Context
from eegfm.objectives.base import Objective
from eegfm.objectives.config import (
    AnyObjectiveConfig,
    ContrastiveConfig,
    MaeConfig,
    MaskedConfig,
    ObjectiveConfig,
    PatchObjectiveConfig,
)

MakeBatch = Callable[..., WindowBatch]
BRIEF = {"projection": {"hidden": 32, "out": 16}}
HEADS = {"heads": ["age", "sex"]}
LABELS = {"age": LabelFacts("regression", mean=30.0, sd=10.0), "sex": LabelFacts("classes", classes=("F", "M"))}
NARROW = {**BRIEF, "n_codes": 32, "d_code": 16, "n_decoder_layers": 1, "decay": 0.9}
SMALL = PatchTransformerConfig(d_model=32, head_size=16, n_layers=2)
OWN = {"tokenizer": LabramConfig(n_maps=4, n_heads=4, n_layers=1, patch_samples=100, layer_scale=0.0)}
"""Encoders of the objectives that train no others."""


def members(union: object) -> list[type[Buildable]]:
    """Classes of an annotated union; a union of one is the class itself."""
    assert get_origin(union) is Annotated
    inner = get_args(union)[0]
    return list(get_args(inner)) or [inner]


def _small(member: type[Buildable]) -> ObjectiveConfig:
    """Defaults, but narrow networks."""
    return member.model_validate({name: v for name, v in NARROW.items() if name in member.model_fields})


CONFIGS: list[ObjectiveConfig] = [
    *map(_small, members(AnyObjectiveConfig)),
    MaskedConfig(target="signal", mask_ratio=0.3),
    MaskedConfig(target="signal", of="normalized"),
    MaskedConfig(of="normalized", mask_ratio=0.4),
    MaeConfig(target="signal", mask_ratio=0.6, mask={"name": "random"}, decoder_layers=1, decoder_width=32),
    MaskedConfig(
        target=[{"name": "log_spectrum", "minus": "slope", "weight": 2.0}, "codes"],
        loss="smooth_l1",
        visible_weight=0.3,
    ),
    ContrastiveConfig(complementary_ratio=0.5, temperature=0.2, learned_temperature=True, **BRIEF),
    ContrastiveConfig(positives="label", projection={"hidden": 32, "out": 16, "norm": "batch"}),
]
LEARNED = [config for k, config in enumerate(CONFIGS) if config.name not in {c.name for c in CONFIGS[:k]}]
LEARNED += [config for config in CONFIGS if getattr(config, "positives", "") == "label" or config.needs_tokenizer]
"""Those that learn windows by heart by default: each objective once, and what has a loss of its own."""
OF_PATCHES = [c for c in CONFIGS if isinstance(c, PatchObjectiveConfig) and c.auxiliary is None]


def said(config: ObjectiveConfig) -> str:
    """Name of a case: what differs from the defaults."""
    plain, default = config.model_dump(mode="json"), type(config)().model_dump(mode="json")
    if isinstance(config, PatchObjectiveConfig):
        plain["target"] = "+".join(target.label for target in config.target)
        default["target"] = "log_spectrum"
    others = {k: v for k, v in plain.items() if v != default[k] and k not in NARROW}
    if plain["auxiliary"] is not None:
        others["auxiliary"] = plain["auxiliary"]["weighting"]
    return "-".join([config.name, *(f"{k}={v}" for k, v in others.items())])


class LoudnessCodes(nn.Module):
    """A tokenizer of windows in microvolts: the code of a patch of one second is its loudness, in four steps."""

    def __init__(self) -> None:
        super().__init__()
        self.n_codes = 4
        self.edges_uv = nn.Parameter(torch.tensor([18.0, 20.0, 22.0]))

    def codes(self, batch: WindowBatch) -> Tensor:
        """(B, N) codes."""
        return torch.bucketize(batch["signal"].unflatten(2, (-1, 100)).std(dim=-1).flatten(1), self.edges_uv)


def draws(config: ObjectiveConfig) -> bool:
    """Whether anything of the objective is drawn: masks or views."""
    return bool(config.augment) or config.name not in ("isc", "auxiliary", "tokenizer")


def context(seed: int = 0) -> Context:
    return Context(seed=seed)


def build(config: ObjectiveConfig, spec: SignalSpec) -> Objective:
    encoder = new_encoder(OWN.get(config.name, SMALL), spec, seed=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        more = {"tokenizer": LoudnessCodes()} if getattr(config, "needs_tokenizer", False) else {}
        objective: Objective = config.build(WindowBackbone(encoder, spec), labels=labels_of(config), **more)
    return objective


def labels_of(config: ObjectiveConfig) -> dict[str, LabelFacts]:
    """What training persons tell of the labels of its auxiliary heads."""
    return {name: LABELS.get(name, LABELS["age"]) for name in config.labels}


def asked(objective: Objective, batch: WindowBatch) -> WindowBatch:
    """The windows with what the objective needs of a batch: pairs of their own, two classes, and labels by pair."""
    n_windows = len(batch["signal"])
    pair = torch.arange(n_windows) % (n_windows // 2)
    number = 20.0 + 5 * pair
    labels = {} if objective.auxiliary is None else objective.auxiliary.classes()
    targets = {name: pair % 2 if classes else number for name, classes in labels.items()}
    config: Any = objective.config
    if not config.trains_on_pairs:
        return {**batch, "targets": targets}
    stored = {
        "samples": batch["signal"].transpose(1, 2),
        "first_row": torch.arange(n_windows) * batch["signal"].shape[2],
    }
    pairs = Pairs(pair, torch.zeros_like(pair), 0, pairing="views")
    return {**batch, **stored, "pairs": pairs, "targets": {"label": pair % 2, **targets}}


def tones(batch: WindowBatch) -> WindowBatch:
    """The windows of a batch as tones of their own frequencies; those of a pair have one, and other phases."""
    B, C, T = batch["signal"].shape
    seconds = torch.arange(T) / 100.0
    frequencies_hz = torch.linspace(4, 20, B // 2).repeat(2).view(B, 1, 1)
    phases: Tensor = torch.arange(B).view(B, 1, 1)
    signal = 30 * torch.sin(2 * torch.pi * frequencies_hz * seconds + phases).expand(B, C, T)
    return {**batch, "signal": signal}
