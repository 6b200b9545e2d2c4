"""Muon and AdamW as one optimizer, against torch's own two."""

import pytest
import torch
from torch.optim import AdamW, Muon

from eegfm.training.optimizers.config import MuonConfig
from small_objective import SmallObjective, driven, trained, windows

HIDDEN = ["backbone.encoder.layers.0.weight", "backbone.encoder.layers.1.weight"]


def test_matrices_of_layers_are_muons_and_nothing_else() -> None:
    objective = SmallObjective()
    names = {id(p): name for name, p in objective.named_parameters()}
    groups = MuonConfig().build(objective).param_groups
    by_muon = [names[id(p)] for g in groups if g["name"].endswith(".muon") for p in g["params"]]
    assert by_muon == HIDDEN
    assert sorted(names.values()) == sorted(names[id(p)] for g in groups for p in g["params"])


def test_a_table_inside_a_layer_is_adamws() -> None:
    objective = SmallObjective()
    objective.backbone.encoder.layers[0].no_weight_decay = ("weight",)
    groups = MuonConfig().build(objective).param_groups
    by_muon = [p for g in groups if g["name"].endswith(".muon") for p in g["params"]]
    assert [id(p) for p in by_muon] == [id(objective.backbone.encoder.layers[1].weight)]


@pytest.mark.parametrize("rate_scale", ["match_rms_adamw", "original"])
def test_it_is_torchs_own_two(rate_scale: str) -> None:
    config = MuonConfig.model_validate({"rate_scale": rate_scale, "adamw_rate_ratio": 0.5, "weight_decay": 0.2})
    ours, theirs = SmallObjective(), SmallObjective()
    named = dict(theirs.named_parameters())
    others = {name: p for name, p in named.items() if name not in HIDDEN}
    decaying = [others[n] for n in ("backbone.adapter.weight", "backbone.encoder.embedding.weight")]
    decaying += [others["backbone.encoder.kernel.weight"], others["head.weight"]]
    ids = {id(p) for p in decaying}
    rest = [p for p in others.values() if id(p) not in ids]
    muon = Muon([named[name] for name in HIDDEN], lr=3e-3, weight_decay=0.2, momentum=0.95, adjust_lr_fn=rate_scale)
    groups = [{"params": decaying, "weight_decay": 0.2}, {"params": rest, "weight_decay": 0.0}]
    adamw = AdamW(groups, lr=1.5e-3, betas=(0.9, 0.98), fused=True)
    optimizer = config.build(ours)
    for step in range(5):
        trained(ours, optimizer, range(step, step + 1))
        for one in (muon, adamw):
            one.zero_grad()
        theirs(windows(step)).backward()
        muon.step()
        adamw.step()
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b), name


def test_a_step_is_about_equally_long_in_all_directions() -> None:
    """The singular values of a step, in double precision: those of the gradient differ tenfold and more."""
    objective = SmallObjective()
    config = MuonConfig(learning_rate=0.01, weight_decay=0.0, rate_scale="original")
    gradients, weights = driven(objective, config.build(objective), 1)
    for name in HIDDEN:
        step = torch.from_numpy(weights[name][0] - weights[name][1]) / 0.01
        values = torch.linalg.svdvals(step)
        of_gradient = torch.linalg.svdvals(torch.from_numpy(gradients[name][0]))
        assert of_gradient[:3].max() / of_gradient[:3].min() > 1.5
        assert ((values[:3] > 0.5) & (values[:3] < 1.5)).all()  # the first row has no gradient
