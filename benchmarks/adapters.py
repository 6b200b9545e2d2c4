"""Cost and benefit of the channel adapters, on the simulated mixture of 21 and 129 channels.

python -m benchmarks run adapters
python -m benchmarks.adapters benchmarks/results/adapters_DATE.json docs/adapters.md    # the table into the page
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.pages import write_between
from benchmarks.processes import Process, status_mb, task
from benchmarks.recordings import CACHE
from benchmarks.runner import Line, Part, Setting

ADAPTERS: dict[str, dict[str, Any]] = {
    "none": {"name": "none"},
    "zero_pad_gsn_129": {"name": "zero_pad", "montage": "gsn_129"},
    "zero_pad_1020_21": {"name": "zero_pad", "montage": "1020_21", "unplaced": "drop"},
    "interpolate_1020_19": {"name": "interpolate", "montage": "1020_19"},
    "interpolate_1010_64": {"name": "interpolate", "montage": "1010_64"},
    "perceiver_1020_19": {"name": "perceiver", "montage": "1020_19"},
    "perceiver_1010_64": {"name": "perceiver", "montage": "1010_64"},
}
CORPORA = ("hbn", "tuh")
TRAINING = {
    "encoder": {"name": "patch_transformer", "d_model": 32, "head_size": 16, "n_layers": 2},
    "batch_size": 10,
    "accelerator": "cpu",
    "progress_bar": False,
    "validation_interval_steps": 1_000_000,
}
SEEDS = (0, 1, 2)
N_STEPS = {False: 450, True: 4}
N_REPEATS = {False: 15, True: 2}
TABLE = ("<!-- table: python -m benchmarks run adapters -->", "<!-- end of table -->")
_REPOSITORY = Path(__file__).resolve().parents[1]


def cost(setting: Setting) -> Iterator[Line]:
    """CPU time of a training step and of a forward pass, memory and weights, each adapter in processes of its own."""
    data = simulated_mixture(setting.quick)
    for name, adapter in ADAPTERS.items():
        with Process(setting.core) as process:
            found, _ = process.run(task(measured_cost, data, adapter, N_REPEATS[setting.quick]))
        times = {key: 1e3 * statistics.median(found[key]) for key in ("step_s", "forward_hbn_s", "forward_tuh_s")}
        values = {key.replace("_s", "_ms"): value for key, value in times.items()}
        values |= {key: found[key] for key in ("peak_mb", "n_adapter_parameters", "n_channels_hbn", "n_channels_tuh")}
        yield Line(f"cost_{name}", values, {key: found[key] for key in times})


def probe_scores(setting: Setting) -> Iterator[Line]:
    """Pretrain with every adapter from every seed, the same steps each, and probe eyes open against closed."""
    data = simulated_mixture(setting.quick)
    seeds = SEEDS[:1] if setting.quick else SEEDS
    jobs = [(name, seed) for name in ADAPTERS for seed in seeds]
    found = dict(zip(jobs, _on_all_cores(data, jobs, N_STEPS[setting.quick]), strict=True))
    for name in ADAPTERS:
        trained = [found[name, seed] for seed in seeds]
        scores = {kind: pooled_score([run[kind] for run in trained]) for kind in ("pretrained", "untrained")}
        scores["band_power"] = pooled_score([trained[0]["band_power"]])
        difference = difference_to(
            [run["pretrained"] for run in trained], [found["none", s]["pretrained"] for s in seeds]
        )
        low, high = scores["pretrained"]["interval_95"]
        values = {"pretrained": scores["pretrained"]["pooled"], "low": low, "high": high}
        values |= {kind: scores[kind]["pooled"] for kind in ("untrained", "band_power")}
        values |= {"more_than_none": difference, "val_r2": float(np.mean([run["val_r2"] for run in trained]))}
        values |= {"n_persons": len(trained[0]["persons"]), "n_seeds": len(seeds)}
        per_seed = {kind: scores[kind]["per_seed"] for kind in scores}
        yield Line(f"probe_{name}", values, per_seed)


PARTS: dict[str, Part] = {"cost": cost, "probe": probe_scores}


def simulated_mixture(quick: bool) -> Path:
    """Simulated corpora from raw files to mixture, made once into the cache by the project's own pipeline."""
    data = CACHE / ("adapters_quick" if quick else "adapters")
    size = ["--env=test"] if quick else []
    persons = "" if quick else ",hbn.acquire.source.n_subjects=36,split.test_ratio=0.5"
    kedro = [sys.executable, "-m", "kedro", "run", "--pipelines=mix", *size, f"--params=data={data}{persons}"]
    subprocess.run(kedro, cwd=_REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    return data


def measured_cost(data: Path, adapter: Mapping[str, Any], n_repeats: int, folder: Path) -> dict[str, Any]:
    """Run training steps, then forward passes; in a fresh process, so that its peak memory is theirs.

    Returns:
        CPU seconds of each repetition after the first; megabytes by which the largest resident memory of the process
        (VmHWM of /proc) exceeds what it held before the first step; numbers of weights and channels.
    """
    module, steps = _module(data, adapter)
    # What came before, checksums of mapped stores among it, held more than any step.
    Path("/proc/self/clear_refs").write_text("5")
    before_mb = status_mb("VmRSS")
    optimizer = module.configure_optimizers()["optimizer"]
    seconds: dict[str, list[float]] = {"step_s": [], "forward_hbn_s": [], "forward_tuh_s": []}
    for repeat in range(n_repeats + 1):
        start_s = time.process_time()
        optimizer.zero_grad()
        _step_loss(module, steps[repeat % len(steps)]).backward()
        optimizer.step()
        seconds["step_s"].append(time.process_time() - start_s)
    peak_mb = status_mb("VmHWM") - before_mb
    channels = {}
    for _ in range(n_repeats + 1):
        for batch in steps[0]:
            channels[batch["corpus"]], forward_s = _forward(module, batch)
            seconds[f"forward_{batch['corpus']}_s"].append(forward_s)
    return {
        **{key: values[1:] for key, values in seconds.items()},
        "peak_mb": peak_mb,
        "n_adapter_parameters": sum(p.numel() for p in module.adapter.parameters()),
        **{f"n_channels_{corpus}": channels[corpus] for corpus in CORPORA},
    }


def trained_and_probed(data: Path, adapter: Mapping[str, Any], seed: int, n_steps: int, folder: Path) -> dict[str, Any]:
    """Pretrain, then probe the encoder, one that is untrained, and band power.

    Returns:
        By kind, (P, K, K) confusions of the held-out persons; their names, and how well validation windows were
        predicted.
    """
    from eegfm.evaluation.config import ProbeParams
    from eegfm.evaluation.metrics import confusions_by_person
    from eegfm.jobs.probe.probe import probe
    from eegfm.jobs.train.pretrain import fit_pretraining

    mixture, splits, windows = (pd.read_parquet(data / path) for path in _TABLES)
    stores, params = _stores(data), _params(adapter, seed, n_steps)
    done = fit_pretraining(mixture, stores, params, folder, splits=splits)
    probing = ProbeParams(
        tasks=["eyes"], n_untrained=1, untrained_seed=1000 + seed, transductive=False, accelerator="cpu"
    )
    table = probe(done.checkpoint, {"hbn": stores["hbn"]}, {"hbn": windows}, splits, probing).predictions
    names, persons = np.unique(table["identity"].to_numpy(dtype=str), return_inverse=True)
    classes = np.unique(table["label"].to_numpy(dtype=str))
    truth, predicted = (np.searchsorted(classes, table[c].to_numpy(dtype=str)) for c in ("label", "predicted"))
    confusions = {}
    for kind in ("pretrained", "untrained", "band_power"):
        of_kind = (table["features"] == kind).to_numpy()
        confusions[kind] = confusions_by_person(
            persons[of_kind], len(names), truth[of_kind], predicted[of_kind], len(classes)
        )
    return {**confusions, "persons": names.tolist(), "val_r2": done.metrics.get("val_r2", float("nan"))}


_TABLES = ("05_model_input/mixture.parquet", "05_model_input/splits.parquet", "03_primary/hbn/windows.parquet")


def pooled_score(confusions: Sequence[np.ndarray]) -> dict[str, Any]:
    """Balanced accuracy over all windows, averaged over seeds, with a bootstrap interval over persons."""
    from eegfm.evaluation.bootstrap import person_interval
    from eegfm.evaluation.metrics import balanced_accuracy

    by_person = np.stack(confusions, axis=1)  # (P, seeds, K, K)
    interval = person_interval(by_person, lambda c: balanced_accuracy(c).mean(axis=1), n_resamples=2000, seed=0)
    per_seed = balanced_accuracy(by_person.sum(axis=0))
    return {"pooled": float(per_seed.mean()), "interval_95": list(interval), "per_seed": per_seed.tolist()}


def difference_to(these: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> list[float]:
    """Mean difference of the persons' balanced accuracies, averaged over seeds, with its bootstrap interval."""
    from eegfm.evaluation.metrics import balanced_accuracy

    first, second = (balanced_accuracy(np.stack(c, axis=1)).mean(axis=1) for c in (these, others))
    difference = first - second
    draws = np.random.default_rng(0).integers(len(difference), size=(2000, len(difference)))
    low, high = np.quantile(difference[draws].mean(axis=1), [0.025, 0.975])
    return [float(difference.mean()), float(low), float(high)]


def _on_all_cores(data: Path, jobs: Sequence[tuple[str, int]], n_steps: int) -> list[dict[str, Any]]:
    """Results of all trainings, in the order of the jobs; each core takes the next when it has finished one."""
    processes = [Process(core) for core in sorted(os.sched_getaffinity(0))]
    waiting, running = list(enumerate(jobs)), {}
    results: dict[int, dict[str, Any]] = {}
    try:
        while waiting or running:
            for process in processes:
                if process in running and process.is_done:
                    results[running.pop(process)], _ = process.result()
                if waiting and process not in running:
                    running[process], (name, seed) = waiting.pop(0)
                    process.start(task(trained_and_probed, data, ADAPTERS[name], seed, n_steps))
            time.sleep(0.1)
    finally:
        for process in processes:
            process.__exit__()
    return [results[k] for k in range(len(jobs))]


def _stores(data: Path) -> dict[str, Any]:
    from eegfm.store.reader import SignalStore

    return {corpus: SignalStore(data / "02_intermediate" / corpus / "signals") for corpus in CORPORA}


def _params(adapter: Mapping[str, Any], seed: int, n_steps: int) -> Any:
    from eegfm.training.config import PretrainParams

    return PretrainParams.model_validate({**TRAINING, "adapter": adapter, "seed": seed, "n_steps": n_steps})


def _module(data: Path, adapter: Mapping[str, Any]) -> tuple[Any, list[list[Any]]]:
    """What is trained, and the stored micro-batches of a few steps."""
    from eegfm.inference.backbone import new_backbone
    from eegfm.jobs.train.data import training_data
    from eegfm.nn.context import Context
    from eegfm.training.module import PretrainModule
    from eegfm.training.setup import TrainingSetup

    params = _params(adapter, 0, 8)
    found = training_data(pd.read_parquet(data / _TABLES[0]), _stores(data), params)
    backbone = new_backbone(
        params.encoder, params.adapter, found.spec, 0, reference=params.reference, bad_channels=params.bad_channels
    )
    objective = params.objective.build(backbone)
    steps = [found.training.batches(step) for step in range(4)]
    objective.setup(steps[0], Context())
    return PretrainModule(TrainingSetup(objective, params, found.weights, 8, 8)), steps


def _step_loss(module: Any, batches: Sequence[Any]) -> Any:
    from eegfm.batch import TrainStep

    step = TrainStep(0, list(batches), sum(len(batch["samples"]) for batch in batches))
    return sum(share * output.loss for _, share, output in module.losses(step))


def _forward(module: Any, batch: Any) -> tuple[int, float]:
    """Channels that the encoder sees, and CPU seconds from stored integers to tokens."""
    import torch

    with torch.inference_mode():
        start_s = time.process_time()
        adapted = module.objective.backbone.prepare(batch)
        module.objective.encoder(adapted)
        return adapted["signal"].shape[1], time.process_time() - start_s


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """Markdown table of a result's lines, one row per adapter."""
    found = {line["case"]: line for line in lines}
    heads = ["adapter", "channels HBN / TUH", "step ms", "forward ms HBN / TUH", "peak MB", "weights"]
    heads += ["probe, trained", "untrained", "more than `none`"]
    rows = [heads, ["---"] * 2 + ["---:"] * (len(heads) - 2)]
    for name in ADAPTERS:
        spent, score = found[f"cost_{name}"], found[f"probe_{name}"]
        more, low, high = score["more_than_none"]
        rows.append(
            [
                f"`{name}`",
                f"{spent['n_channels_hbn']} / {spent['n_channels_tuh']}",
                f"{spent['step_ms']:.0f}",
                f"{spent['forward_hbn_ms']:.0f} / {spent['forward_tuh_ms']:.0f}",
                f"{spent['peak_mb']:.0f}",
                f"{spent['n_adapter_parameters']:,}",
                f"{score['pretrained']:.3f} ({score['low']:.3f}–{score['high']:.3f})",
                f"{score['untrained']:.3f}",
                "" if name == "none" else f"{more:+.3f} ({low:+.3f} to {high:+.3f})",
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def write_docs(result: Path, page: Path) -> None:
    """Put the table of a result between the marks of a page."""
    content = json.loads(result.read_text())
    scores = next(line for line in content["lines"] if line["case"] == "probe_none")
    facts = (
        f"{content['machine']['cpu']}, one thread, commit {content['machine']['commit']}; {scores['n_seeds']} seeds, "
        f"{scores['n_persons']} held-out persons; band power alone: {scores['band_power']:.3f}."
    )
    write_between(page, TABLE, f"{table(content['lines'])}\n\n{facts}")


if __name__ == "__main__":
    write_docs(Path(sys.argv[1]), Path(sys.argv[2]))
