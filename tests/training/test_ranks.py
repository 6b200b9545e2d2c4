"""Two processes train as one: its losses, its validation, its weights, and target statistics equal bit for bit."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from trained_ranks import NAMES, train_cases
from two_corpora import write_two_corpora
from warm_process import WarmProcess

# Each process is forked from one that has imported torch.
TRAIN = """
import json, sys
from pathlib import Path
sys.path.insert(0, "tests")
import numpy as np
import torch
from eegfm.checkpoint import save_checkpoint
from eegfm.jobs.train.fingerprint import training_code
from eegfm.jobs.train.job import TrainingJob
from eegfm.jobs.train.pretrain import fit_here
from eegfm.ranks.place import Place
from eegfm.training.config import PretrainParams
from eegfm.training.logs import reconstructions
from eegfm.training.ranks import gathered, share_gradients
from person_tables import with_movies
from trained_ranks import fork_ranks
from two_corpora import read_two_corpora

# Images are no part of what is compared, and would take a third of the time.
reconstructions.reconstruction_image = lambda item: np.zeros((1, 1, 3), dtype=np.uint8)
folder, ports = Path(sys.argv[1]), sys.argv[2:]
mixture, splits, stores = read_two_corpora(folder)
mixture = with_movies(mixture)

def train(case, params, rank, n_ranks):
    params = PretrainParams.model_validate({**params, "devices": n_ranks})
    drawn = mixture
    if params.encoder.name == "eegnet":  # which takes one montage
        drawn = mixture[mixture["corpus"] == "hbn"].reset_index(drop=True).assign(weight=1.0)
    job = TrainingJob(params, drawn, splits, stores)
    done = fit_here(job, folder / f"{case}_runs_{n_ranks}", place=Place(rank, n_ranks))
    save_checkpoint(folder / f"{case}_{n_ranks}_{rank}.safetensors", done.checkpoint)
    done.history.to_parquet(folder / f"{case}_{n_ranks}_{rank}.parquet")
    (folder / f"{case}_{n_ranks}_{rank}.json").write_text(json.dumps(done.metrics))
    if n_ranks == 2:
        (folder / f"{case}_exchange_{rank}.json").write_text(json.dumps(exchange(rank)))

def exchange(rank):
    both, second, neither, frozen = (torch.nn.Parameter(torch.zeros(2)) for _ in range(4))
    frozen.requires_grad_(False)
    both.grad = torch.tensor([1.0, 2.0]) if rank == 0 else torch.tensor([3.0, 8.0])
    second.grad = None if rank == 0 else torch.tensor([4.0, 6.0])
    loss = share_gradients([both, second, neither, frozen], torch.tensor(float(rank)))
    gradients = [None if p.grad is None else p.grad.tolist() for p in (both, second, neither, frozen)]
    return [gradients, float(loss), gathered({"rank": rank, "text": "é" * rank})]

cases = json.loads((folder / "params.json").read_text())
for params in cases.values():
    training_code(PretrainParams.model_validate(params))  # the code is parsed here, once for all
fork_ranks(dict(zip(cases, ports, strict=True)), lambda case, *place: train(case, cases[case], *place))
"""
SMALL = {
    "encoder": {"name": "patch_transformer", "d_model": 16, "head_size": 8, "n_layers": 1},
    "optimizer": {"name": "adamw", "learning_rate": 3e-3, "eps": 1e-4},
    "batch_size": 20, "n_steps": 12, "log_interval_steps": 1, "validation_interval_steps": 6, "seed": 3,
    "accelerator": "cpu", "progress_bar": False, "gradient_clip": 0.05, "n_validation_windows": 25,
}  # fmt: skip
HEADS = [{"name": name, "dropout": 0, "hidden": 8} for name in ("age", "sex")]
BATCH_NORM = {"hidden": 16, "out": 8, "norm": "batch"}
EEGNET = {**SMALL, "encoder": {"name": "eegnet", "dropout_ratio": 0, "n_temporal_filters": 4, "n_pointwise_filters": 8}}
CLOSE = {"contrastive": 1e-3, "isc": 1e-3}
"""Where a norm over the batch makes small differences large. Norms of a rank of its own would differ by far more."""
CASES = {
    "mae": {
        **SMALL,
        # Whether a label is known differs from window to window, so from rank to rank.
        "objective": {
            "name": "mae",
            "mask_ratio": 0.5,
            "visible_weight": 0.1,
            "target": [{"name": "log_spectrum", "minus": "person"}, "amplitude_phase"],
            "auxiliary": {"weighting": "uncertainty", "heads": HEADS},
        },
        "gradient_clip": 1000,  # so that sizes count
        "accumulate": 2,
        "weight_average": {"decay": 0.9, "start_ratio": 0.3},
        "freeze": [{"parts": ["encoder"], "until_epoch": 2}],
    },
    "contrastive": {
        **SMALL,
        "objective": {"name": "contrastive", "projection": BATCH_NORM},
        "pairs": [{"name": "movie_moment"}, {"name": "views"}],
    },
    "eegnet": {
        **EEGNET,
        "objective": {"name": "contrastive", "projection": BATCH_NORM, "auxiliary": {"heads": HEADS}},
        "n_steps": 6,
    },
    "jepa": {**SMALL, "objective": {"name": "jepa", "teacher_decay": 0.9, "regularization": {"name": "vicreg"}}},
}
if os.environ.get("EEGFM_OBJECTIVES") == "full":
    CASES |= {name: {**SMALL, "objective": {"name": name}} for name in ("masked", "ts2vec", "smart")}
    CASES["isc"] = {**SMALL, "objective": {"name": "isc", "projection": BATCH_NORM}}
    CASES["auxiliary"] = {**SMALL, "objective": {"name": "auxiliary", "auxiliary": {"heads": HEADS}}}
    CASES["eegnet_auxiliary"] = CASES["auxiliary"] | EEGNET
    CASES["tokenizer"] = {
        **SMALL,  # with so many codes that some are placed anew
        "objective": {"name": "tokenizer", "n_codes": 8, "d_code": 4, "n_decoder_layers": 1, "least_use": 0.45},
        "encoder": {"name": "labram", "n_maps": 4, "n_heads": 4, "n_layers": 1, "patch_samples": 100, "layer_scale": 0},
    }  # fmt: skip
ONE_MONTAGE = {name for name, params in CASES.items() if params["encoder"]["name"] == "eegnet"}


def ratios(case: str) -> dict[str, float]:
    """Share of each corpus."""
    return {"hbn": 1.0} if case in ONE_MONTAGE else {"hbn": 0.6, "tuh": 0.4}


@pytest.fixture(scope="module")
def folder(warm: WarmProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    write_two_corpora(folder)
    (folder / "params.json").write_text(json.dumps(CASES))
    train_cases(warm, TRAIN, folder, CASES)
    return folder


@pytest.mark.parametrize("case", CASES)
def test_losses_and_validations_are_those_of_one_process(folder: Path, case: str) -> None:
    one, *ranks = (pd.read_parquet(folder / f"{case}_{name}.parquet") for name in NAMES)
    assert one["step"].tolist() == list(range(1, CASES[case]["n_steps"] + 1))
    assert {f"loss_{corpus}" for corpus in ratios(case)} <= set(one.columns)
    assert ("val_loss_hbn" in one) is (case != "isc"), "one person alone has no pair to validate on"
    no_baseline = {"jepa", "ts2vec", "contrastive", "isc", "auxiliary", *ONE_MONTAGE}
    assert ("val_r2_tuh" in one) is (case not in no_baseline), "nor have regularization, contrast and labels a baseline"
    for rank in ranks:
        r2 = [name for name in one if "r2" in name]  # 1 minus a ratio near 1
        pd.testing.assert_frame_equal(rank.drop(columns=r2), one.drop(columns=r2), rtol=CLOSE.get(case, 1e-5))
        pd.testing.assert_frame_equal(rank[r2], one[r2], atol=CLOSE.get(case, 1e-5))
    pd.testing.assert_frame_equal(ranks[0], ranks[1], check_exact=True)


@pytest.mark.parametrize("case", CASES)
def test_weights_are_those_of_one_process_and_equal_on_all_ranks(folder: Path, case: str) -> None:
    rtol, atol = (CLOSE[case], 2e-5) if case in CLOSE else (1e-5, 1e-7)
    if case in ONE_MONTAGE:  # a norm takes away the bias of the norm before it, whose gradient is zero but for rounding
        atol = 1e-6
    one, *ranks = (load_file(folder / f"{case}_{name}.safetensors") for name in NAMES)
    for name, value in one.items():
        assert torch.equal(ranks[0][name], ranks[1][name]), f"{name} differs between the ranks"
        torch.testing.assert_close(ranks[0][name], value, rtol=rtol, atol=atol, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("case", CASES)
def test_metrics_count_the_windows_of_all_ranks(folder: Path, case: str) -> None:
    one, rank = (json.loads((folder / f"{case}_{name}.json").read_text()) for name in ("1_0", "2_0"))
    assert one["n_windows"] == rank["n_windows"] == 20 * CASES[case]["n_steps"]
    assert {corpus: rank[f"corpus_ratio_{corpus}"] for corpus in ratios(case)} == ratios(case)
    name = "train_loss" if case == "isc" else "val_loss"
    assert np.isclose(one[name], rank[name], rtol=CLOSE.get(case, 1e-5))


def test_a_weight_that_one_rank_does_not_use_counts_as_zero_there(folder: Path) -> None:
    expected = [[[2.0, 5.0], [2.0, 3.0], None, None], 0.5, [{"rank": 0, "text": ""}, {"rank": 1, "text": "é"}]]
    for rank in (0, 1):
        assert json.loads((folder / f"jepa_exchange_{rank}.json").read_text()) == expected
