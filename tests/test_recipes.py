"""Experiments on corpora of TUH, from files in the published layouts to windows with answers and splits of persons."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest

from eegfm.errors import ConfigError
from eegfm.jobs.ingest.config import IngestParams
from eegfm.jobs.ingest.ingest import ingest
from eegfm.jobs.train.finetuning import FinetuningTask, training_rows
from eegfm.project.config_loader import ConfigLoader
from eegfm.settings import CONFIG_LOADER_ARGS
from eegfm.signal.config import SignalParams
from eegfm.splits.config import Roles, SplitParams
from eegfm.splits.splits import split_persons
from eegfm.targets import TargetSpec
from eegfm.training.loading.groups import Mixing
from eegfm.training.supervised.config import TuningParams
from eegfm.windows.answers import answer_counts, checked_answers
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.runs import expand
from kedro_project import PROJECT_ROOT
from tiny_folders import FOLDERS

RECIPES = ("tuab", "tuev", "tuar", "tusl", "tusz")


@dataclass(frozen=True)
class Prepared:
    """What a recipe makes of its corpus: windows, splits, and the answers by cut."""

    recordings: pd.DataFrame
    windows: pd.DataFrame
    splits: pd.DataFrame
    targets: dict[str, TargetSpec]

    def answers(self, cut: str) -> np.ndarray:
        """Truths of all windows of a cut."""
        windows = expand(self.windows[self.windows["cut"] == cut])
        return checked_answers(windows, self.targets[cut], f"task {cut}")


def parameters(name: str, folder: Path) -> dict[str, Any]:
    """Parameters of a recipe whose raw folder is here."""
    with mock.patch.dict(os.environ, {f"{name.upper()}_ROOT": str(folder)}):
        loader = ConfigLoader(str(PROJECT_ROOT / "conf"), f"experiments/{name}", **CONFIG_LOADER_ARGS)
        found: dict[str, Any] = loader["parameters"]
    return found


def prepare(name: str, folder: Path) -> Prepared:
    """Do what ``kedro run --pipelines=mix`` does, but for the mixture."""
    FOLDERS[f"{name.upper()}_ROOT"](folder / "raw")
    found = parameters(name, folder / "raw")
    own = found[name]
    params = IngestParams.model_validate(own["ingest"] | {"workers": {"n_workers": 1}})
    raw_files = params.corpus.build(name).index(folder / "raw")
    signal = SignalParams.model_validate(found["signal"])
    done = ingest(raw_files, folder / "raw", params, signal, folder / "store", simulated=False)
    assert done.rejected.empty
    cuts = WindowParams.model_validate(own["window"])
    windows, _ = cut_windows(done.recordings, done.events, cuts)
    few = {"validation_ratio": 0.4, "test_ratio": 0.4, "folds": "leave_one_person_out"}
    split = SplitParams.model_validate(found["split"] | few)
    splits = split_persons({name: done.recordings}, Roles.model_validate(found["corpora"]), split)
    assert {*found["probe"]["tasks"], *found["finetune"].get("tasks", ())} <= set(cuts.cuts)
    return Prepared(done.recordings, windows, splits, {cut: each.target_spec for cut, each in cuts.cuts.items()})


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Prepared]:
    return {name: prepare(name, tmp_path_factory.mktemp(name)) for name in RECIPES}.__getitem__


@pytest.mark.parametrize("name", RECIPES)
def test_every_task_has_answers_to_learn(name: str, recipe: Callable[[str], Prepared]) -> None:
    prepared = recipe(name)
    tasks = [cut for cut, target in prepared.targets.items() if target.kind != "unlabelled"]
    assert tasks
    for cut in tasks:
        counts = answer_counts(prepared.targets[cut], prepared.answers(cut))
        assert counts.sum() > 0
        assert (prepared.windows["cut"] == cut).any()


def test_the_views_of_tuar_agree(recipe: Callable[[str], Prepared]) -> None:
    tuar = recipe("tuar")
    kinds = {cut: target.kind for cut, target in tuar.targets.items()}
    assert kinds == {
        "pretrain": "unlabelled", "bc": "binary", "mc": "multilabel", "mcc": "multiclass", "mmc": "multioutput",
        "ml": "multilabel",
    }  # fmt: skip
    binary, by_derivation, by_class, five = (tuar.answers(cut) for cut in ("bc", "mc", "mmc", "ml"))
    assert (binary == by_derivation.max(axis=1)).all()
    assert (by_derivation == (by_class > 0)).all()
    assert (binary == five.max(axis=1)).all()
    one = tuar.answers("mcc")
    assert len(one) == binary.sum()
    assert (one == by_class[binary > 0, 0] - 1).all()


@pytest.mark.parametrize("name", ["tuab", "tuev", "tusz"])
def test_the_official_eval_is_tested(name: str, recipe: Callable[[str], Prepared]) -> None:
    prepared = recipe(name)
    part_of = dict(zip(prepared.recordings["person"], prepared.recordings["official_split"], strict=True))
    pairs = {(part_of[p], split) for p, split in zip(prepared.splits["person"], prepared.splits["split"], strict=True)}
    drawn = {("train", "validation")} if name != "tusz" else {("dev", "validation")}
    assert pairs == {("train", "train"), ("eval", "test"), *drawn}


@pytest.mark.parametrize("name", ["tuar", "tusl"])
def test_persons_are_drawn_where_nothing_is_official(name: str, recipe: Callable[[str], Prepared]) -> None:
    assert set(recipe(name).splits["split"]) == {"train", "validation", "test"}


def test_eyes_of_guineabissau_follow_its_table(shared_data: Path) -> None:
    """45 of 48 persons, closed first in most; counted from the table and the lengths that it gives."""
    folder = shared_data / "guineabissau"
    own = parameters("guineabissau", folder)["guineabissau"]
    files = IngestParams.model_validate(own["ingest"]).corpus.build("guineabissau").index(folder)
    table = pd.read_csv(folder / "metadata_guineabissau.csv", dtype={"subject.id": str}).set_index("subject.id")
    n_samples = files["subject"].map(table["recordedPeriod"]) * 100
    recordings = files.assign(
        person="guineabissau:" + files["subject"], montage="m", rate_hz=100.0,
        segment_starts=[[0]] * len(files), segment_stops=[[n] for n in n_samples],
    )  # fmt: skip
    windows, counts = cut_windows(recordings, pd.DataFrame(), WindowParams.model_validate(own["window"]))
    eyes = windows[windows["cut"] == "eyes"]
    kept = table.drop(["13", "67", "70"])
    assert set(eyes["person"]) == {f"guineabissau:{name}" for name in kept.index}
    assert counts["eyes"]["n_recordings"] == 45
    expected = {"closed": 0, "open": 0}
    for order, length_s in zip(kept["Eyes.condition"], kept["recordedPeriod"], strict=True):
        first, second = ("closed", "open") if order.startswith("closed") else ("open", "closed")
        expected[first] += 85
        expected[second] += (min(length_s, 300) - 190) // 2
    assert eyes.groupby("label")["n_windows"].sum().to_dict() == expected


def test_classes_of_a_recipe_can_be_drawn_equally_often(recipe: Callable[[str], Prepared]) -> None:
    tusz = recipe("tusz")
    windows = tusz.windows[tusz.windows["cut"] == "seizures"]
    task = FinetuningTask("seizures", tusz.targets["seizures"], windows, tusz.splits, {})
    assert set(training_rows(task)["drawn_by"]) == {"windows"}
    assert Mixing.of(training_rows(task, TuningParams(drawn_by="classes").drawn_by)).drawn_by == "classes"
    TuningParams(drawn_by="classes").check(tusz.targets["types"])
    with pytest.raises(ConfigError, match=r"^drawn_by 'classes': windows of a multilabel answer have not one class"):
        TuningParams(drawn_by="classes").check(recipe("tuar").targets["ml"])
