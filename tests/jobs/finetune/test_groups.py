"""Groups of a finetuning are read from its predictions: all seeds and divisions, finetuned and one control."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from answered_windows import TARGETS
from eegfm.jobs.finetune.groups import with_groups
from eegfm.metrics.scoring.tally import point_scores
from finetuned_results import results_of


def test_groups_of_every_kind_of_task() -> None:
    metrics, predictions = results_of(n_windows=120)
    names = sorted(set(predictions["recording_id"]))
    table = pd.DataFrame({"recording_id": names, "sex": "F", "age_years": 30.0})
    for block in metrics.values():
        del block["models"]["majority"]
    found = with_groups(metrics, predictions, {"hbn": table}, n_bootstrap=100, seed=0)
    assert found.keys() == metrics.keys()
    for name, block in metrics.items():
        (group,) = found[name]["groups"]["by"]["sex"].values()
        assert group["n_persons"] == 6
        assert group["models"] == {}, "six persons are too few"
        assert found[name].items() >= block.items()


@pytest.mark.parametrize("name", TARGETS)
def test_a_group_of_all_has_the_scores_of_all(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetuned_results.N_PERSONS", 12)
    metrics, predictions = results_of({name: TARGETS[name]}, n_windows=120)
    table = pd.DataFrame({"recording_id": sorted(set(predictions["recording_id"])), "sex": "F"})
    (block,) = with_groups(metrics, predictions, {"hbn": table}, n_bootstrap=100, seed=0).values()
    models = block["groups"]["by"]["sex"]["F"]["models"]
    assert list(models) == ["finetuned", "band_power"]
    metric = block["compared_by"]
    for model, scores in models.items():
        assert scores[metric]["value"] == pytest.approx(block["models"][model]["window"][metric]["value"])
        low, high = scores[metric]["interval_95"]
        assert low < high


def test_the_yardstick_is_not_our_own() -> None:
    metrics, predictions = results_of({"multilabel": TARGETS["multilabel"]}, n_inits=1)
    own = predictions[predictions["model"] == "finetuned"]
    said, truths = np.stack(own["said"].to_list()), np.stack(own["truth"].to_list())
    known = ~np.isnan(truths)
    areas = [roc_auc_score(truths[known[:, k], k], said[known[:, k], k]) for k in range(3)]
    assert point_scores(TARGETS["multilabel"], said, truths)["auroc"] == pytest.approx(np.mean(areas))
    assert metrics["hbn.multilabel"]["models"]["finetuned"]["window"]["auroc"]["value"] == pytest.approx(np.mean(areas))
