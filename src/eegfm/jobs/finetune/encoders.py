"""Names of the finetuned encoders of a task: one for each fold and seed."""

from collections.abc import Sequence

from eegfm.checkpoint import Checkpoint
from eegfm.jobs.finetune.config import FinetuneParams
from eegfm.jobs.finetune.planned import PlannedTask, Training
from eegfm.jobs.finetune.tested import Trained
from eegfm.jobs.finetune.trained import FINETUNED
from eegfm.jobs.weights.export import OF_A_TRAINING


def encoders_of(planned: PlannedTask, trained: Sequence[Trained]) -> dict[str, Checkpoint]:
    """Return the finetuned encoders that are stored, by name; none for a closed form.

    Args:
        planned: The task.
        trained: Its trained models.
    """
    found = {(one.division.name, one.seed): one.result.checkpoint for one in trained if one.model.name == FINETUNED}
    return {name: found[one.division.name, one.seed] for name, one in _stored(planned).items()}


def described_encoders(planned: PlannedTask) -> dict[str, dict[str, str | int]]:
    """Tell of each stored encoder, by name, whose it is: ``division`` and ``seed``."""
    return {name: {"division": one.division.name, "seed": one.seed} for name, one in _stored(planned).items()}


def _stored(planned: PlannedTask) -> dict[str, Training]:
    key, params = planned.task.key, planned.params
    made = [one for one in planned.trainings if one.model.name == FINETUNED]
    kept = made if params.encoders == "all" else made[:1]
    return {_name(key, one, params) if k else key: one for k, one in enumerate(kept)}


def _name(key: str, training: Training, params: FinetuneParams) -> str:
    """``hbn.eyes@fold_1-seed_0``: the sign occurs in no name of a task. What all have in common is not said."""
    division = [training.division.name.replace(" ", "_")] if training.division.is_fold else []
    seed = [f"seed_{training.seed}"] if len(params.seeds) > 1 else []
    return f"{key}{OF_A_TRAINING}{'-'.join([*division, *seed])}"
