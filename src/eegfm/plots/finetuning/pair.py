"""The two models that large figures show beside each other: the finetuned one, and the best of the others."""

from collections.abc import Mapping
from typing import Any

from eegfm.plots.finetuning.models import FINETUNED, best_other
from eegfm.plots.finetuning.said import TaskSaid
from eegfm.plots.text import spelled


def shown_pair(block: Mapping[str, Any], said: TaskSaid) -> dict[str, str]:
    """Return the models to show, with their titles.

    Args:
        block: Metrics of a task.
        said: What its models said.
    """
    best = best_other(block, said.by_model)
    metric = spelled(block["compared_by"])
    found = {FINETUNED: spelled(FINETUNED)} if FINETUNED in said.by_model else {}
    if best is None:
        return found or {model: spelled(model) for model in list(said.by_model)[:1]}
    return found | {best: f"{spelled(best)}, the best other model by {metric}"}
