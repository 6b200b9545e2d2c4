"""Muon for the matrices of the encoder's layers, AdamW for everything else, as one optimizer."""

from typing import Any

from torch.optim import AdamW, Muon, Optimizer

from eegfm.objectives.base import Objective
from eegfm.training.optimizers.base import OwnOptimizer
from eegfm.training.optimizers.config import MuonConfig
from eegfm.training.optimizers.groups import parameter_groups


def build_muon(config: MuonConfig, objective: Objective) -> Optimizer:
    """Build Muon and AdamW over all parameters.

    Groups of Muon come first; their names end in ``.muon``. Matrices of layers that never decay, such as look-up
    tables, are AdamW's. So is everything in the adapter: its first map reads samples, as an embedding does.
    """
    layers = objective.backbone.encoder.depth_groups()[1:]
    hidden = {id(p) for layer in layers for p in layer if p.ndim == 2}
    by_muon, by_adamw = [], []
    for group in parameter_groups(objective, config):
        matrices = [p for p in group["params"] if group["decays"] and id(p) in hidden]
        taken = {id(p) for p in matrices}
        others = [p for p in group["params"] if id(p) not in taken]
        if matrices:
            by_muon.append({**group, "params": matrices, "name": f"{group['name']}.muon"})
        if others:
            by_adamw.append({**group, "params": others, "lr": group["lr"] * config.adamw_rate_ratio})
    return MuonAdamW(by_muon, by_adamw, config)


class MuonAdamW(OwnOptimizer):
    """Torch's Muon and AdamW behind one list of groups and one state.

    Args:
        by_muon: Groups of matrices for Muon.
        by_adamw: Groups for AdamW.
        config: Choices of both.
    """

    def __init__(self, by_muon: list[dict[str, Any]], by_adamw: list[dict[str, Any]], config: MuonConfig) -> None:
        self._parts: tuple[Optimizer, ...] = ()
        muon = Muon(
            by_muon,
            momentum=config.momentum,
            nesterov=config.nesterov,
            ns_steps=config.n_iterations,
            adjust_lr_fn=config.rate_scale,
        )
        adamw = AdamW(by_adamw, betas=config.betas, eps=config.eps, fused=True)
        # Both have filled in their defaults, so that there are none left here.
        super().__init__([*muon.param_groups, *adamw.param_groups], {})
        self._parts = (muon, adamw)
        self._share()

    def move(self) -> None:
        """Take a step of Muon and one of AdamW."""
        for part in self._parts:
            part.step()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over groups and state, as ``load_state_dict`` asks."""
        super().__setstate__(state)
        self._share()

    def _share(self) -> None:
        """Let both see the groups and the state that this optimizer has."""
        first = 0
        for part in self._parts:
            n_groups = len(part.param_groups)
            part.state = self.state
            part.param_groups = self.param_groups[first : first + n_groups]
            first += n_groups
