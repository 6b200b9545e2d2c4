"""Two processes finetune as one: losses, metrics of all windows, the step of the best, weights."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from trained_ranks import NAMES, train_cases
from warm_process import WarmProcess

TRAIN = """
import json, sys
from pathlib import Path
sys.path.insert(0, "tests")
from answered_store import answered_task, start_of, tuning, write_answered
from eegfm.checkpoint import save_checkpoint
from eegfm.jobs.train.finetuning import finetuning_job
from eegfm.jobs.train.fingerprint import training_code
from eegfm.jobs.train.pretrain import fit_here
from eegfm.ranks.place import Place
from eegfm.store.reader import SignalStore
from trained_ranks import fork_ranks

folder, ports = Path(sys.argv[1]), sys.argv[2:]
write_answered(folder / "store")
store = SignalStore(folder / "store")
cases = json.loads((folder / "cases.json").read_text())

def job(case, n_ranks):
    kind, changes = cases[case]
    return finetuning_job(tuning(devices=n_ranks, **changes), answered_task(store, kind), start_of(), seed=3, phase="f")

def train(case, rank, n_ranks):
    done = fit_here(job(case, n_ranks), folder / f"{case}_runs_{n_ranks}", place=Place(rank, n_ranks))
    save_checkpoint(folder / f"{case}_{n_ranks}_{rank}.safetensors", done.checkpoint)
    done.history.to_parquet(folder / f"{case}_{n_ranks}_{rank}.parquet")
    (folder / f"{case}_{n_ranks}_{rank}.json").write_text(json.dumps(done.metrics))

for case in cases:
    training_code(job(case, 1).params)  # the code is parsed here, once for all
fork_ranks(dict(zip(cases, ports, strict=True)), train)
"""
SHARED = {
    "batch_size": 12, "n_epochs": 4, "patience": 2, "head": {"name": "mlp", "hidden": [8], "dropout_ratio": 0.0},
    "optimizer": {"name": "adamw", "learning_rate": 3e-3, "eps": 1e-4},
}  # fmt: skip
CASES = {
    "full": ("binary", SHARED | {"monitor": "val_auroc", "class_weights": "balanced"}),
    "lora": ("regressions", SHARED | {"strategy": {"name": "lora", "rank": 2}, "batch_size": 36}),
}
"""In the second one, a rank has no window to validate on."""
if os.environ.get("EEGFM_FINETUNE") == "full":
    CASES["two_stage"] = ("multioutput", SHARED | {"strategy": {"name": "two_stage", "probe_epochs": 2}})


@pytest.fixture(scope="module")
def folder(warm: WarmProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "cases.json").write_text(json.dumps(CASES))
    train_cases(warm, TRAIN, folder, CASES)
    return folder


@pytest.mark.parametrize("case", CASES)
def test_losses_and_metrics_are_those_of_one_process(folder: Path, case: str) -> None:
    one, *ranks = (pd.read_parquet(folder / f"{case}_{name}.parquet") for name in NAMES)
    assert {"val_loss", "loss"} <= set(one.columns)
    assert len([name for name in one if name.startswith("val_")]) > 5
    for rank in ranks:
        pd.testing.assert_frame_equal(rank, one, rtol=1e-4, atol=1e-5)
    pd.testing.assert_frame_equal(ranks[0], ranks[1], check_exact=True)


@pytest.mark.parametrize("case", CASES)
def test_the_same_step_is_published_with_the_same_weights(folder: Path, case: str) -> None:
    metrics = [json.loads((folder / f"{case}_{name}.json").read_text()) for name in NAMES]
    assert len({(of["published_step"], of["n_windows"]) for of in metrics}) == 1
    one, *ranks = (load_file(folder / f"{case}_{name}.safetensors") for name in NAMES)
    for name, value in one.items():
        np.testing.assert_array_equal(ranks[0][name], ranks[1][name], err_msg=name)
        np.testing.assert_allclose(ranks[0][name], value, rtol=1e-4, atol=1e-5, err_msg=name)
