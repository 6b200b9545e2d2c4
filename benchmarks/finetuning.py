"""Finetune with each strategy, and once on shuffled answers, beside all controls.

    kedro run --env=experiments/simulated_large --pipelines=pretrain --params=phases=[pretrain]
    python benchmarks/finetuning.py --strategies full --shuffled --params=phases=[pretrain] --out large.json
    GUINEABISSAU_ROOT=… python benchmarks/finetuning.py --env experiments/guineabissau --strategies all --out gb.json

The encoder is that of the last phase. Every strategy is one look at the test persons. What the file of results has is
not run again, so a stopped program goes on where it was. ``shuffled`` deals the answers out anew: among persons where
each has one answer, otherwise among the windows of each person. Scores must then be those of chance.
"""

import argparse
import datetime
import json
import math
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from eegfm.corpora.simulated.ceiling import best_reachable
from eegfm.corpora.simulated.config import SimulatedHbn, SimulatedTuh
from eegfm.jobs.finetune.config import FinetuneParams, StrategyConfig

ROOT = Path(__file__).resolve().parents[1]
STRATEGIES = tuple(one.model_fields["name"].default for one in get_args(get_args(StrategyConfig)[0]))
CONTROLS = (
    *("scratch", "eegnet", "frozen_ridge", "untrained_ridge"),
    *("band_power", "relative_band_power", "log_covariance", "majority"),
)
BEST = {"age": "age_years"}
"""Names of the simulator for tasks that have another name there."""
SHUFFLED = "shuffled answers"
_CHANCE = {"r2": 0.0, "balanced_accuracy": 0.5}


def main() -> None:
    """Run what is not there yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="experiments/simulated_large")
    parser.add_argument("--strategies", nargs="+", choices=["all", *STRATEGIES], default=["full"])
    parser.add_argument("--shuffled", action="store_true", help="also the first strategy on shuffled answers")
    parser.add_argument("--params", default="", help="further Kedro parameters, e.g. data=FOLDER,finetune.n_epochs=20")
    parser.add_argument("--out", type=Path, required=True, help="file of results, of one env and one set of parameters")
    args = parser.parse_args()
    asked = {"env": args.env, "params": args.params}
    found: dict[str, Any] = json.loads(args.out.read_text()) if args.out.exists() else {"asked": asked, "runs": {}}
    if found["asked"] != asked:
        parser.error(f"{args.out} holds results of {found['asked']}, and {asked} is asked; name another file")
    given = node_inputs(args.env, args.params)
    params: FinetuneParams = given["params"]
    found["best"] = best_scores(given)
    said = {"command": " ".join(["python", *sys.argv]), "commit": commit()}
    strategies = STRATEGIES if "all" in args.strategies else args.strategies
    runs = [(name, given, name) for name in strategies]
    if args.shuffled:
        runs.append((SHUFFLED, shuffled(given, seed=0), strategies[0]))
    for name, inputs, strategy in runs:
        if name in found["runs"]:
            continue
        chosen = params.model_copy(update={"strategy": _strategy(params, strategy)})
        date = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
        found["runs"][name] = {"date": date, **said, "tasks": scores(run(inputs, chosen))}
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(found, indent=1) + "\n")
    for key in next(iter(found["runs"].values()))["tasks"]:
        print("\n".join(["", f"## {key}", *rows(key, found)]))


def node_inputs(env: str, params: str) -> dict[str, Any]:
    """Load what the node ``finetune_encoder`` takes in a project's environment."""
    from kedro.framework.project import pipelines
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    from eegfm.project.params_option import parse_params

    bootstrap_project(ROOT)
    with KedroSession.create(ROOT, env=env, runtime_params=parse_params(params)) as session:
        catalog = session.load_context().catalog  # type: ignore[attr-defined]  # Kedro says AbstractSession
        (node,) = pipelines["finetune"].filter(node_names=["finetune_encoder"]).nodes
        loaded = {entry: catalog.load(entry) for entry in node.inputs}
        named = node._inputs  # Kedro has no public name-to-entry mapping
    return {name: loaded[entry] for name, entry in named.items()}


def run(given: Mapping[str, Any], params: FinetuneParams) -> dict[str, Any]:
    """Finetune without Kedro on what the node takes."""
    from eegfm.jobs.finetune.finetune import finetune

    parts: dict[str, dict[str, Any]] = {"signals": {}, "windows": {}, "cuts": {}}
    for corpus, what in (name.split("__") for name in given if "__" in name):
        if what in parts:
            parts[what][corpus] = given[f"{corpus}__{what}"]
    tables = (parts["signals"], parts["windows"], parts["cuts"], given["splits"])
    return finetune(given["start"], *tables, params, given["runs"], given["ledger"]).metrics


def shuffled(given: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Deal out the answers anew; looks at them go to a book of their own, since they tell nothing of the test set."""
    rng = np.random.default_rng(seed)
    found = dict(given) | {"ledger": Path(given["runs"]) / "shuffled"}
    for name, table in given.items():
        if name.endswith("__windows"):
            dealt = [_dealt(of_cut, rng) for _, of_cut in table.groupby("cut", sort=True, observed=True)]
            found[name] = pd.concat(dealt).loc[table.index]
    return found


def _dealt(windows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Answers of one cut, dealt out among persons or within each; windows without an answer stay without."""
    if "targets" in windows and windows["targets"].notna().any():
        raise NotImplementedError("several answers per window are not dealt out")
    column = next((c for c in ("label", "target") if windows[c].notna().any()), None)
    if column is None:
        return windows
    answered = windows[windows[column].notna()]
    persons = answered["person"].astype(str)
    of_person = answered.groupby(persons)[column]
    if (of_person.nunique() <= 1).all():
        first = of_person.first()
        dealt = persons.map(dict(zip(first.index, rng.permutation(first), strict=True)))
    else:
        within = {
            row: value for _, own in of_person for row, value in zip(own.index, rng.permutation(own), strict=True)
        }
        dealt = pd.Series(within)
    return windows.assign(**{column: dealt.reindex(windows.index)})


def scores(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Reduce the metrics of a finetuning to what the tables show."""
    found = {}
    for key, task in metrics.items():
        level, metric = task["level"], task["compared_by"]
        at = {name: model[level] for name, model in task["models"].items()}
        found[key] = {
            "level": level,
            "metric": metric,
            "models": {name: {m: v[m] for m in (metric, "pearson") if m in v} for name, v in at.items()},
            "of_recordings": {name: model["recording"][metric] for name, model in task["models"].items()},
            "difference": {name: _without_persons(one) for name, one in task["paired_difference"].items()},
            "identity": {name: model["identity"] for name, model in task["models"].items() if "identity" in model},
            "n": {k: task["protocol"][k] for k in ("n_looks_before", "divisions") if k in task["protocol"]},
        }
    return found


def rows(key: str, found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a Markdown table: strategies, controls of the first one, and what can be reached.

    Recordings have a score of their own where windows are compared: probabilities are averaged over the windows of a
    recording that have one true class.
    """
    runs = {name: one["tasks"][key] for name, one in found["runs"].items()}
    first = next(iter(runs.values()))
    metric, best = first["metric"], found["best"].get(key)
    has_recordings = first["level"] == "window" and metric != "r2"
    heads = ["model", f"{metric} (95 %)", "above log band power (95 %)"]
    heads += ["of recordings (95 %)"] * has_recordings + ["of what can be reached"] * bool(best)
    yield f"{metric} of {first['level']}s; differences are those to log band power"
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    models = [(name, task, "finetuned") for name, task in runs.items()]
    models += [(name, first, name) for name in CONTROLS if name in first["models"]]
    for name, task, model in models:
        value = task["models"][model][metric]
        difference = task["difference"].get("band_power") if model == "finetuned" else None
        cells = [name, _with_interval(value), _with_interval(difference) if difference else ""]
        if has_recordings:
            cells.append(_with_interval(task["of_recordings"][model]))
        if best:
            cells.append(f"{100 * (value['value'] - _CHANCE[metric]) / (best[metric] - _CHANCE[metric]):.0f} %")
        yield f"| {' | '.join(cells)} |"
    if best:
        yield f"| best possible | {best[metric]:.3f} |{' |' * (len(heads) - 2)}"
    if SHUFFLED in runs:
        yield f"Shuffled: {_chance_sentence(runs[SHUFFLED])}"


def _with_interval(block: Mapping[str, Any]) -> str:
    low, high = block["interval_95"]
    value = block["value"] if "value" in block else block["difference"]
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _chance_sentence(task: Mapping[str, Any]) -> str:
    """How many standard errors the score is away from chance. A number is judged by its correlation."""
    name = "pearson" if task["metric"] == "r2" else task["metric"]
    block = task["models"]["finetuned"][name]
    chance = 0.0 if name == "pearson" else _CHANCE[name]
    low, high = block["interval_95"]
    error = (high - low) / (2 * 1.96)
    return f"{name} {block['value']:.3f}, {abs(block['value'] - chance) / error:.1f} standard errors from chance"


def best_scores(given: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Best possible scores of tasks on simulated corpora, by ``corpus.task``: R2 of numbers, else balanced accuracy."""
    found = {}
    sources: dict[str, SimulatedHbn | SimulatedTuh] = {"hbn": SimulatedHbn(), "tuh": SimulatedTuh()}
    for task in given["params"].asked:
        for corpus, source in sources.items():
            store = given.get(f"{corpus}__signals")
            best = best_reachable(source).get(BEST.get(task.own_cut, task.own_cut))
            if best and store is not None and store.is_simulated:
                found[f"{corpus}.{task.name}"] = {best["metric"]: best["value"], **best["others"]}
    return {key: best for key, best in found.items() if not math.isnan(next(iter(best.values())))}


def commit() -> str:
    """Name of the checked-out commit."""
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True).stdout[
        :12
    ]


def _strategy(params: FinetuneParams, name: str) -> Any:
    return FinetuneParams.model_validate({"tasks": params.tasks, "strategy": {"name": name}}).strategy


def _without_persons(difference: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in difference.items() if k != "per_person"}


if __name__ == "__main__":
    main()
