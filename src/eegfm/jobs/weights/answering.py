"""Rebuild finetuned models: from microvolts to the answers of a task."""

from dataclasses import replace

from torch import Tensor, nn

from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint
from eegfm.errors import CheckpointError
from eegfm.inference.backbone import load_backbone
from eegfm.inference.module import Inference, build_inference, chosen_montage
from eegfm.nn.weights import build_seeded, load_weights
from eegfm.objectives.supervised.config import SupervisedConfig
from eegfm.objectives.supervised.model import Supervised
from eegfm.targets import TargetSpec
from eegfm.training.setup import TrainingSetup
from eegfm.training.supervised.config import SupervisedParams
from eegfm.training.supervised.module import SupervisedModule
from eegfm.training.tensors import OBJECTIVE_PREFIX, NamedWeights


class Answering(Inference):
    """Encode windows of one montage, and answer what is asked of each.

    Args:
        objective: Backbone, head, and what is asked.
        montage: Name of the montage.
    """

    outputs = (*Inference.outputs, "answers")

    def __init__(self, objective: Supervised, montage: str) -> None:
        super().__init__(objective.backbone, montage)
        self.objective = objective

    @property
    def said(self) -> str:
        """See ``Inference``."""
        return f"{super().said} with head {self.objective.config.head.name}"

    @property
    def target(self) -> TargetSpec:
        """Return what is asked."""
        return self.objective.target

    def forward(self, recorded_uv: Tensor) -> tuple[Tensor, ...]:
        """Encode and answer windows.

        Args:
            recorded_uv: (B, C, T) float32 microvolts, see ``Inference``.

        Raises:
            ConfigError: See ``Inference``.

        Returns:
            What ``Inference`` gives, and (B, ...) probabilities, or numbers in the unit of the task, in the shape that
            ``eegfm.targets`` gives their kind.
        """
        encoded = self.encoded(recorded_uv)
        return (*self.shown(encoded), self.objective.answer(encoded))

    def weights(self) -> dict[str, Tensor]:
        """Return all weights by their names in a checkpoint, those of the head too."""
        own = {f"{OBJECTIVE_PREFIX}{name}": value for name, value in self.objective.own_state().items()}
        return super().weights() | own


class Answers(nn.Module):
    """Answer what is asked of windows of one montage.

    Args:
        model: The finetuned model.
    """

    def __init__(self, model: Answering) -> None:
        super().__init__()
        self.model = model

    @property
    def target(self) -> TargetSpec:
        """Return what is asked: names of classes and outputs, unit of numbers."""
        return self.model.target

    def forward(self, recorded_uv: Tensor) -> Tensor:
        """Return (B, ...) probabilities or numbers of (B, C, T) microvolts, see ``Answering.forward``."""
        answers: Tensor = self.model(recorded_uv)[-1]
        return answers


def has_head(checkpoint: Checkpoint) -> bool:
    """Tell whether a checkpoint is that of a finetuned model with its head."""
    return checkpoint.header.objective.get("name") == "supervised" and any(
        name.startswith(OBJECTIVE_PREFIX) for name in checkpoint.tensors
    )


def load_answers(checkpoint: Checkpoint, montage: str | None = None, *, accept_other_code: bool = False) -> Answers:
    """Rebuild a finetuned model that turns microvolts into answers, in evaluation mode, on the CPU.

    Args:
        checkpoint: What a finetuning has stored, see ``eegfm.checkpoint.load_checkpoint``.
        montage: Name of one of its montages; needed where there are several.
        accept_other_code: Whether weights that other code made are taken, with a warning.

    Raises:
        ConfigError: There is no such montage, or none is named and there are several.
        CheckpointError: The checkpoint has no head, or does not fit this version.
    """
    model = build_exported(checkpoint, montage, accept_other_code=accept_other_code)
    if not isinstance(model, Answering):
        raise CheckpointError(
            f"the checkpoint of {checkpoint.header.phase} has no head that answers anything; take one that the "
            "pipeline finetune has stored, or build_inference for features"
        )
    return Answers(model).eval()


def build_exported(checkpoint: Checkpoint, montage: str | None = None, *, accept_other_code: bool = False) -> Inference:
    """Rebuild all that stands between a recording and features, and a head that answers where there is one.

    Args:
        checkpoint: See ``load_answers``, like all that follow.
        montage: See there.
        accept_other_code: See there.

    Raises:
        ConfigError: See ``load_answers``.
        CheckpointError: The checkpoint does not fit this version.
    """
    if not has_head(checkpoint):
        return build_inference(checkpoint, montage, accept_other_code=accept_other_code)
    spec = SignalSpec.from_dict(checkpoint.header.signal_spec)
    name = chosen_montage(spec, montage)
    spec = replace(spec, montages={name: spec.montages[name]}, n_samples={name: spec.n_samples[name]})
    return Answering(load_objective(checkpoint, spec, accept_other_code=accept_other_code), name).eval()


def load_objective(
    checkpoint: Checkpoint, spec: SignalSpec | None = None, *, accept_other_code: bool = False
) -> Supervised:
    """Rebuild backbone, head and what is asked from a checkpoint, in evaluation mode, on the CPU.

    Args:
        checkpoint: Weights and header of a finetuned model. Low-rank changes are merged in it.
        spec: See ``load_backbone``.
        accept_other_code: See ``load_backbone``.

    Raises:
        ConfigError: The adapter or the encoder does not fit the montages.
        CheckpointError: The weights do not fit the configuration, or other code made them.
    """
    config = SupervisedConfig.model_validate(checkpoint.header.objective).model_copy(update={"lora": None})
    backbone = load_backbone(checkpoint, spec, accept_other_code=accept_other_code)
    objective = build_seeded(config, checkpoint.header.seed, backbone)
    assert isinstance(objective, Supervised), "the configuration builds it"
    load_weights(NamedWeights(objective), checkpoint.tensors, "", "finetuned model")
    return objective.eval()


def load_supervised(
    checkpoint: Checkpoint, spec: SignalSpec | None = None, *, accept_other_code: bool = False
) -> SupervisedModule:
    """Rebuild a finetuned model from its checkpoint: backbone, head and what is asked, as a Lightning module.

    Args:
        checkpoint: Weights and header.
        spec: Describes the windows that it will meet; those of the training if not given.
        accept_other_code: See ``load_backbone``.

    Raises:
        ConfigError: The encoder or the head does not fit the montages.
        CheckpointError: The weights do not fit the configuration, or the checkpoint has no head.
    """
    objective = load_objective(checkpoint, spec, accept_other_code=accept_other_code)
    params = SupervisedParams(objective=objective.config, n_epochs=1, start="file", monitor="val/loss")
    return SupervisedModule(TrainingSetup(objective, params, {}, 1, 1)).eval()
