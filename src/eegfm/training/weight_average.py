"""Moving average of the weights over the last part of a training.

An average of the weights that a training goes through near its end often predicts better than the last of them
(Polyak and Juditsky 1992; Izmailov et al. 2018, arXiv 1803.05407).
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from eegfm.errors import TrainingError
from eegfm.training.blocks import WeightAverageParams


class WeightAverage:
    """Average of all parameters of a module; buffers, such as the statistics of batch norms, are the module's own.

    It starts as a copy of the weights after the first step that is taken, and each later step that is taken moves it
    towards the weights of that step.

    Args:
        params: Decay, and when the average starts.
        module: Its parameters are averaged, frozen ones too: their average is what they are.
        n_steps: Optimizer steps of the training.
    """

    def __init__(self, params: WeightAverageParams, module: nn.Module, n_steps: int) -> None:
        self.decay = params.decay
        self.first_step = math.floor(params.start_ratio * n_steps)
        self._module = module
        self._averages: list[Tensor] = []
        self._is_of_a_step = torch.tensor(False)  # on the device: it alone knows which steps were taken

    @property
    def has_started(self) -> bool:
        """Tell whether there is an average yet; until a step is taken, it is a copy of the weights as they are."""
        return bool(self._averages)

    @torch.no_grad()
    def update(self, step: int, is_taken: Tensor) -> None:
        """Take in the weights after an optimizer step.

        Args:
            step: Number of the step, counted from 0.
            is_taken: Whether the optimizer took it; a boolean scalar on the device. If not, the average stays.
        """
        if self._averages:
            weights = self._weights()
            self._follow_the_device(weights)
            towards = torch._foreach_sub(weights, self._averages)
            # Nothing waits for the device to say whether the step counts. The first that counts moves all the way.
            is_first = is_taken & ~self._is_of_a_step
            dtype = towards[0].dtype
            torch._foreach_mul_(towards, is_taken.to(dtype) * (1 - self.decay) + is_first.to(dtype) * self.decay)
            torch._foreach_add_(self._averages, towards)
            self._is_of_a_step = self._is_of_a_step | is_taken
        elif step >= self.first_step:
            self._averages = [weight.clone() for weight in self._weights()]
            self._is_of_a_step = is_taken

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the module have the average inside the block, and its own weights again behind it, whatever happens.

        Before the average has started this changes nothing, and such a block inside another one does not either.
        """
        if not self._averages:
            yield
            return
        weights = self._weights()
        self._follow_the_device(weights)
        own = [weight.clone() for weight in weights]
        try:
            self._write(self._averages)
            yield
        finally:
            self._write(own)

    def state_dict(self) -> dict[str, Any]:
        """Return averages by name of the parameter, none before it has started, and whether they are of a step."""
        names = [name for name, _ in self._module.named_parameters()] if self._averages else []
        return {"averages": dict(zip(names, self._averages, strict=True)), "is_of_a_step": self._is_of_a_step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the averages of another run.

        Raises:
            TrainingError: They are of other parameters.
        """
        averages: dict[str, Tensor] = state["averages"]
        weights = dict(self._module.named_parameters())
        shapes = {name: weight.shape for name, weight in weights.items()}
        if averages and {name: average.shape for name, average in averages.items()} != shapes:
            raise TrainingError("the averaged weights are of another model; start anew with resume: false")
        self._averages = [averages[name].to(weight, copy=True) for name, weight in weights.items() if averages]
        self._is_of_a_step = state["is_of_a_step"].to(next(iter(weights.values())).device)

    def _follow_the_device(self, weights: Sequence[Tensor]) -> None:
        """Have the averages where the weights are: a state is loaded before the model goes to its device."""
        if self._averages[0].device != weights[0].device:
            self._averages = [average.to(weight) for average, weight in zip(self._averages, weights, strict=True)]
            self._is_of_a_step = self._is_of_a_step.to(weights[0].device)

    def _weights(self) -> list[Tensor]:
        return [weight.detach() for weight in self._module.parameters()]

    @torch.no_grad()
    def _write(self, values: list[Tensor]) -> None:
        torch._foreach_copy_(self._weights(), values)
