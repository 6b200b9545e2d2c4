"""A teacher: a copy of the backbone that follows the trained one as a moving average."""

import copy

import torch
from torch import Tensor, nn

from eegfm.batch import StoredBatch
from eegfm.inference.backbone import Backbone
from eegfm.nn.context import Context
from eegfm.nn.full_precision import full


class Teacher(nn.Module):
    """Moving average of the weights of a backbone, as in I-JEPA (arXiv 2301.08243) and BYOL (arXiv 2006.07733).

    Its weights are persistent buffers, not parameters: no optimizer, no decay and no freezing rule sees them, and they
    are saved with the state of the objective that holds it. They are in float32 whatever the training computes in. It
    is always in evaluation mode, so its dropout is off, and batch norms use the running statistics of the backbone.

    Args:
        backbone: What is trained. It is copied, with all that stands before the encoder.
        decay: Share of its weights that the teacher keeps in the first step.
    """

    def __init__(self, backbone: Backbone, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.backbone = copy.deepcopy(backbone)
        for module in self.backbone.modules():
            for name, parameter in list(module._parameters.items()):
                if parameter is not None:
                    del module._parameters[name]
                    # A weight that two modules share becomes two: each of its names is moved once.
                    module.register_buffer(name, parameter.detach().clone())
        self.train()

    def train(self, mode: bool = True) -> "Teacher":
        """Stay in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, batch: StoredBatch) -> Tensor:
        """Encode the untouched, whole windows of a batch, see ``Encoder.encode``; in float32, without gradients."""
        return full(self.backbone.encoder(self.backbone.prepare(batch)))

    def decay_at(self, context: Context) -> float:
        """Return the share of its weights that the teacher keeps in a step: it grows linearly to 1 over the run."""
        return self.decay + (1 - self.decay) * context.step / context.n_steps

    def copy_of(self, backbone: Backbone) -> None:
        """Begin anew with the weights of a backbone."""
        self._move(backbone, 0.0)

    def follow(self, backbone: Backbone, context: Context) -> None:
        """Move towards the weights of a backbone, once after each optimizer step.

        A step that was left out moves it, too: towards weights that stayed as they were.
        """
        self._move(backbone, self.decay_at(context))

    @torch.no_grad()
    def _move(self, backbone: Backbone, decay: float) -> None:
        own = self.backbone.state_dict(keep_vars=True)
        trained = {name: value.detach() for name, value in backbone.named_parameters(remove_duplicate=False)}
        torch._foreach_lerp_([own[name] for name in trained], list(trained.values()), 1 - decay)
        for name, value in backbone.state_dict(keep_vars=True).items():
            if name not in trained:  # running statistics, which are averages already
                own[name].copy_(value)
