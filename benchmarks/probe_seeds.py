"""Pretrain with several seeds, probe each encoder, and compare with untrained ones person by person.

    EEGMAT_ROOT=… EEGMMIDB_ROOT=… python benchmarks/probe_seeds.py --seeds 5 --out benchmarks/results/eegmmidb.json

Each seed is a ``kedro run`` of its own with everything under one data root, so that raw files are ingested once.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]


def run_seed(env: str, data: Path, seed: int, extra: str, task: str) -> dict[str, Any]:
    """Pretrain and probe with one seed; training is single-threaded so that seeds can run side by side."""
    folder = data / f"seed_{seed}"
    for shared in ("01_raw", "02_intermediate", "03_primary", "05_model_input"):
        folder.mkdir(parents=True, exist_ok=True)
        link = folder / shared
        if not link.exists():
            link.symlink_to((data / "shared" / shared).resolve(), target_is_directory=True)
    parameters = f"data={folder},pretrain.seed={seed},pretrain.progress_bar=false{extra}"
    nodes = "train_pretrain,probe_encoder"
    command = [sys.executable, "-m", "kedro", "run", f"--env={env}", f"--params={parameters}", f"--nodes={nodes}"]
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with (folder / "log.txt").open("w") as log:
        subprocess.run(command, cwd=ROOT, env={**os.environ, **threads}, check=True, stdout=log, stderr=log)
    sections: dict[str, Any] = json.loads((folder / "08_reporting/probe/metrics.json").read_text())
    metrics: dict[str, Any] = sections[task]
    metrics["pretraining"] = json.loads((folder / "08_reporting/pretrain/metrics.json").read_text())
    return metrics


def summarise(runs: list[dict[str, Any]], row: str) -> dict[str, Any]:
    """Mean over seeds, and the paired difference to untrained per person."""

    def block(run: dict[str, Any], kind: str) -> dict[str, Any]:
        found: dict[str, Any] = run[kind] if row == "inductive" else run[kind]["transductive"]
        return found["balanced_accuracy"]

    persons = sorted(block(runs[0], "pretrained")["per_person"])
    pretrained = np.array([[block(r, "pretrained")["per_person"][p] for p in persons] for r in runs])
    untrained = np.array([block(runs[0], "untrained")["per_person"][p] for p in persons])
    band_power = np.array([block(runs[0], "band_power")["per_person"][p] for p in persons])
    difference = pretrained.mean(axis=0) - untrained
    return {
        "pretrained_pooled_per_seed": [block(r, "pretrained")["pooled"] for r in runs],
        "pretrained_pooled_mean": float(np.mean([block(r, "pretrained")["pooled"] for r in runs])),
        "untrained_pooled": block(runs[0], "untrained")["pooled"],
        "untrained_pooled_per_init": block(runs[0], "untrained")["inits"],
        "band_power_pooled": block(runs[0], "band_power")["pooled"],
        "band_power_interval_95": block(runs[0], "band_power")["interval_95"],
        "difference_to_untrained_per_person": dict(zip(persons, difference.tolist(), strict=True)),
        "difference_mean": float(difference.mean()),
        "difference_median": float(np.median(difference)),
        "difference_range": [float(difference.min()), float(difference.max())],
        "n_persons_improved": int((difference > 0).sum()),
        "n_persons": len(persons),
        "difference_to_band_power_mean": float((pretrained.mean(axis=0) - band_power).mean()),
    }


def main() -> None:
    """Run the seeds and print the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="experiments/eegmmidb")
    parser.add_argument("--task", default="eegmmidb.eyes", help="task with classes, as corpus.task")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "probe_seeds")
    parser.add_argument("--params", default="", help="further Kedro parameters, e.g. pretrain.n_steps=100")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    extra = f",{args.params}" if args.params else ""
    prepare = f"data={args.data / 'shared'}{extra}"
    command = [sys.executable, "-m", "kedro", "run", f"--env={args.env}", "--tags=data", f"--params={prepare}"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    with ThreadPoolExecutor(args.workers) as pool:
        runs = list(pool.map(lambda s: run_seed(args.env, args.data, s, extra, args.task), range(args.seeds)))
    summary = {
        "env": args.env,
        "params": args.params,
        "seeds": args.seeds,
        "protocol": runs[0]["protocol"],
        "pretraining": [r["pretraining"] for r in runs],
        **{row: summarise(runs, row) for row in ("inductive", "transductive")},
    }
    text = json.dumps(summary, indent=2)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text + "\n")
    for row in ("inductive", "transductive"):
        print(row, json.dumps({k: v for k, v in summary[row].items() if k != "difference_to_untrained_per_person"}))


if __name__ == "__main__":
    main()
