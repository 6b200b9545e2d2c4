"""Learning rates that fall with depth, of every encoder on the menu, against a table written by hand."""

import re
from collections.abc import Mapping

import pytest
import torch
from torch import nn

from contracts.encoder_cases import CASES, MEMBERS, MONTAGES, Case, Subject, spec_of
from eegfm.adapters.config import PerceiverConfig
from eegfm.adapters.load import new_adapter
from eegfm.encoders.base import Encoder
from eegfm.errors import ConfigError
from eegfm.training.optimizers.config import AdamWConfig
from zoo.stand_in import braindecode_models

TABLE: Mapping[str, Mapping[str, int]] = {
    "patch_transformer": {r"layers\.0\.": 1, r"layers\.1\.": 2, r"final_norm\.": 2},
    "luna": {r"time\.layers\.0\.": 1, r"time\.layers\.1\.": 2, r"time\.final_norm\.": 2},
    "femba": {r"layers\.0\.": 1},
    "labram": {r"transformer\.layers\.0\.": 1, r"transformer\.layers\.1\.": 2, r"transformer\.final_norm\.": 2},
    "cbramod": {r"layers\.0\.": 1, r"layers\.1\.": 2},
    "conv": {r"layers\.0\.": 1, r"layers\.1\.": 2, r"layers\.2\.": 3, r"layers\.3\.": 4, r"final_norm\.": 4},
    "gru": {r"layers\.0\.": 1, r"layers\.1\.": 2, r"layers\.2\.": 3, r"layers\.3\.": 4, r"final_norm\.": 4},
    "eegnet": {r"network\.[34]\.": 1, r"network\.9\.": 2, r"network\.1[01]\.": 3},
    "eegnex": {r"network\.[45]\.": 1, r"network\.[67]\.": 2, r"network\.1[23]\.": 3, r"network\.1[56]\.": 4},
}
"""By member, in the small size of the contract: parameters by the start of their name, and their layer."""
RATES = {1: {0: 0.08, 1: 0.4}, 2: {0: 0.016, 1: 0.08, 2: 0.4}, 3: {0: 0.0032, 1: 0.016, 2: 0.08, 3: 0.4}}
RATES[4] = {0: 0.00064, 1: 0.0032, 2: 0.016, 3: 0.08, 4: 0.4}
"""By number of layers, the rate of each layer from 0.4 for the last, a fifth of that for each before it."""
HEADS_RATE = 2.0


class Trained(nn.Module):
    """An encoder with an adapter before it and a head behind it."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        config = PerceiverConfig(n_queries=2, d_model=8, n_heads=2)
        self.backbone = nn.Module()
        self.backbone.adapter = new_adapter(config, spec_of([MONTAGES[19]], 4), 0)
        self.backbone.encoder = encoder
        self.head = nn.Linear(3, 2)


def subject(case: Case) -> Subject:
    if case.member == "braindecode":
        braindecode_models()
    return Subject.of(case)


@pytest.mark.parametrize("name", [name for name in MEMBERS if MEMBERS[name].has_depth_groups])
def test_rates_are_those_of_the_table(name: str) -> None:
    model = Trained(subject(CASES[name]).encoder())
    layers, n_layers = TABLE[name], max(TABLE[name].values())
    optimizer = AdamWConfig.model_validate(
        {"learning_rate": HEADS_RATE, "learning_rates": {"encoder": 0.4}, "layer_decay": 0.2}
    ).build(model)
    found = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    for parameter, p in model.backbone.encoder.named_parameters():
        depth = next((layer for start, layer in layers.items() if re.match(start, parameter)), 0)
        assert found[id(p)]["lr"] == pytest.approx(RATES[n_layers][depth]), parameter
        assert found[id(p)]["name"] == f"encoder.{depth}", parameter
    assert {found[id(p)]["lr"] for p in model.head.parameters()} == {HEADS_RATE}
    falls = HEADS_RATE * RATES[n_layers][0] / 0.4
    assert [found[id(p)]["lr"] for p in model.backbone.adapter.parameters()] == pytest.approx(
        [falls] * len(list(model.backbone.adapter.parameters()))
    ), "an adapter without a rate is one of the embeddings"


def test_every_encoder_has_a_table_or_no_order() -> None:
    assert set(TABLE) == {name for name, member in MEMBERS.items() if member.has_depth_groups}
    assert {name for name, member in MEMBERS.items() if not member.has_depth_groups} == {"braindecode"}


@pytest.mark.zoo
def test_an_encoder_without_an_order_is_refused() -> None:
    model = Trained(subject(CASES["braindecode"]).encoder())
    assert isinstance(AdamWConfig().build(model), torch.optim.AdamW)
    with pytest.raises(ConfigError, match=r"optimizer\.layer_decay is 0\.2, but the encoder does not say"):
        AdamWConfig(layer_decay=0.2).build(model)
