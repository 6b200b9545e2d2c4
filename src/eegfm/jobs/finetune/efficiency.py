"""Label efficiency of a finetuning: the scores of all models when a share of the training persons is trained on."""

from collections.abc import Mapping
from typing import Any

from eegfm.evaluation.scores.levels import Level
from eegfm.jobs.finetune.config import FinetuneParams
from eegfm.jobs.finetune.planned import PlannedShare, PlannedTask
from eegfm.jobs.finetune.said import Said
from eegfm.jobs.finetune.scores import scored_runs


def label_efficiency(
    planned: PlannedTask, said: Mapping[float, Said], scores: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the score that models are compared by, share by share, the smallest first; JSON-ready.

    Args:
        planned: The task.
        said: By share below 1, what models of these persons said.
        scores: Those of the run itself, see ``eegfm.jobs.finetune.scores.score_models``. They are those of share 1.

    Returns:
        One row per share: ``ratio``, ``n_persons`` that are trained on and ``n_fitted_persons`` that closed forms are
        fitted to (fewest and most of a division each), and ``scores`` by model and metric; or ``too_few``, which says
        in words why there are none.
    """
    return [_row(share, said.get(share.ratio), scores, planned.params) for share in planned.shares]


def _row(share: PlannedShare, said: Said | None, scores: Mapping[str, Any], params: FinetuneParams) -> dict[str, Any]:
    trained, fitted = ([getattr(one, name) for one in share.thinned] for name in ("n_persons", "n_fitted"))
    row = {
        "ratio": share.ratio,
        "n_persons": [min(trained), max(trained)],
        "n_fitted_persons": [min(fitted), max(fitted)],
    }
    if share.too_few:
        return row | {"too_few": share.too_few}
    level, metric = scores["level"], scores["compared_by"]
    if said is None:
        return row | {"scores": {model: {metric: own[level][metric]} for model, own in scores["models"].items()}}
    return row | {"scores": {model: {metric: _score(said, model, level, metric, params)} for model in said.by_model}}


def _score(said: Said, model: str, level: Level, metric: str, params: FinetuneParams) -> dict[str, Any]:
    return scored_runs(said, model, params).of_level(level)[metric]
