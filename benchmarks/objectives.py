"""Train one encoder for each objective, temperature, adapter and part of the default, and probe each of them.

    python benchmarks/objectives.py --out benchmarks/results/objectives.json            # all tables
    python benchmarks/objectives.py --tables temperatures --steps 100                   # one of them, shorter

All are of one seed over one data folder. Each is a ``kedro run`` of its own with ``--params=model=NAME``. What the file
of results has is not run again, so a stopped program goes on where it was. Two programs at once need two data folders.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
ENV = "experiments/simulated_large"
PROBES = {"eyes": "balanced_accuracy", "age": "r2", "response_time": "r2", "movie_moments": "top1"}
"""By task of the probe, the score of the table; of persons where their windows have one answer."""
KINDS = ("pretrained", "untrained", "band_power")
LOSSES = ("val_loss", "val_own_loss", "val_baseline_loss", "val_visible_mean_loss", "val_person_share", "n_parameters")
_MOMENTS = "{name: within_recording, cut: moments, moments: 8}"
_AUGMENT = "{name: gain},{name: channel_gain},{name: spectral_tilt},{name: channel_subset,n_channels: 64,ratio: 0.5}"
_NO_HEADS = "pretrain.objective.auxiliary=null"
_HBN = "corpora.pretrain=[hbn]"


class Variant(NamedTuple):
    """One training.

    Args:
        name: Its row, and the name of its model.
        params: Parameters of the run, beside those of all.
        phases: Its phases.
        pipelines: What is run; if empty, the phases and the probe of the last one.
        start: Name of the variant whose encoder a phase with ``start: file`` begins with.
    """

    name: str
    params: tuple[str, ...] = ()
    phases: tuple[str, ...] = ("pretrain", "contrast")
    pipelines: str = ""
    start: str | None = None


def _alone(name: str, *params: str, pipelines: str = "") -> Variant:
    """A first phase without a second one and without heads."""
    return Variant(name, (_NO_HEADS, *params), ("pretrain",), pipelines)


def _masked(target: str, options: str | None = None) -> Variant:
    return _alone(f"masked {target}", f"pretrain.objective.target=[{options or '{name: ' + target + '}'}]")


def _objective(name: str, *params: str) -> Variant:
    return _alone(name, f"pretrain.objective.name={name}", *params)


def _contrastive(pairing: str, options: str, batch_size: int, *params: str) -> Variant:
    """Pairs of one kind from scratch, with temperature and augmentations of the default's contrast."""
    chosen = ("name=contrastive", "temperature=0.2", f"augment=[{_AUGMENT}]")
    of_pairs = (f"pretrain.pairs=[{options}]", f"pretrain.batch_size={batch_size}")
    return _alone(f"contrastive {pairing}", *(f"pretrain.objective.{one}" for one in chosen), *of_pairs, *params)


def _contrast(name: str, temperature: float) -> Variant:
    params = ("contrast.start=file", f"contrast.objective.temperature={temperature}")
    return Variant(name, params, ("contrast",), start="without contrast")


TABLES: Mapping[str, tuple[Variant, ...]] = {
    "objectives": (
        _masked("log_spectrum"),
        _masked("log_spectrum minus window", "{name: log_spectrum, minus: window}"),
        _masked("normalized_signal"),
        _masked("log_spectrum and normalized_signal", "{name: log_spectrum},{name: normalized_signal}"),
        _masked("log_covariance"),
        _masked("amplitude_phase"),
        _alone("masked codes", "pretrain.objective.target=codes", pipelines="tokenizer,pretrain,probe"),
        _objective("mae"),
        _objective("jepa"),
        _objective("smart"),
        _objective("ts2vec"),
        _contrastive("views", "{name: views}", 40),
        _contrastive("within_recording", _MOMENTS, 160),
        _contrastive("movie_moment", "{name: movie_moment}", 40, _HBN),
        _objective("isc", _HBN, "pretrain.batch_size=40"),
        Variant("auxiliary", ("pretrain.objective.name=auxiliary",), ("pretrain",)),
    ),
    "temperatures": (
        Variant("without contrast", phases=("pretrain",)),
        *(_contrast(f"temperature {value}", value) for value in (0.05, 0.07, 0.1, 0.2)),
    ),
    "adapters": (
        _masked("log_spectrum and normalized_signal", "{name: log_spectrum},{name: normalized_signal}"),
        _alone("adapter zero_pad", "pretrain.adapter.name=zero_pad"),
        _alone("adapter perceiver", "pretrain.adapter.name=perceiver"),
        _alone("no adapter, encoder as large as with perceiver", "pretrain.encoder.mlp_ratio=5.4"),
    ),
    "parts": (
        Variant("without contrast", phases=("pretrain",)),
        _contrast("temperature 0.2", 0.2),
        Variant("without heads", (_NO_HEADS,)),
        Variant("without TUH", (_HBN,)),
    ),
}


def main() -> None:
    """Run what is not there yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", choices=sorted(TABLES), default=list(TABLES))
    parser.add_argument("--steps", type=int, default=600, help="optimizer steps of every phase")
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "objectives")
    parser.add_argument("--params", default="", help="further Kedro parameters of all runs; a variant's own win")
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "objectives" / "results.json")
    args = parser.parse_args()
    found: dict[str, Any] = json.loads(args.out.read_text()) if args.out.exists() else {}
    for table in args.tables:
        for variant in TABLES[table]:
            if variant.name not in found:
                found[variant.name] = run(variant, args.steps, args.data, args.params)
                args.out.parent.mkdir(parents=True, exist_ok=True)
                args.out.write_text(json.dumps(found, indent=2) + "\n")
        print("\n".join([f"## {table}", *rows(TABLES[table], found)]))


def run(variant: Variant, n_steps: int, data: Path, extra: str) -> dict[str, Any]:
    """Train and probe; what is said goes to ``log.txt`` beside the model.

    Returns:
        Parameters, losses of the last phase, and ``scores`` of the probe.
    """
    folder = data / "models" / _model(variant.name)
    folder.mkdir(parents=True, exist_ok=True)
    params = ",".join([*of_all(variant, n_steps, data), *([extra] if extra else []), *variant.params])
    environment = dict(os.environ)
    if variant.start is not None:
        start = data / "models" / _model(variant.start) / "06_models" / "pretrain" / "encoder.safetensors"
        environment["ENCODER"] = str(start)
    pipelines = variant.pipelines or ",".join((*variant.phases, "probe"))
    command = [sys.executable, "-m", "kedro", "run", f"--env={ENV}", f"--pipelines={pipelines}"]
    print(f"{variant.name}: {params}", flush=True)
    with (folder / "log.txt").open("w") as log:
        subprocess.run([*command, f"--params={params}"], cwd=ROOT, env=environment, check=True, stdout=log, stderr=log)
    reports = folder / "08_reporting"
    training = json.loads((reports / variant.phases[-1] / "metrics.json").read_text())
    return {
        "params": params,
        "training": {key: training[key] for key in LOSSES if key in training},
        "probe": scores(json.loads((reports / "probe" / "metrics.json").read_text())),
    }


def of_all(variant: Variant, n_steps: int, data: Path) -> Iterator[str]:
    """Yield the parameters that every training has."""
    yield from (f"data={data}", f"model={_model(variant.name)}", "probe.n_untrained=1", "probe.transductive=false")
    yield f"phases=[{','.join(variant.phases)}]"
    for phase in variant.phases:
        yield from (f"{phase}.n_steps={n_steps}", f"{phase}.progress_bar=false")


def rows(variants: tuple[Variant, ...], found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a Markdown table: a row for each variant, and one for each untrained encoder among them."""
    yield f"| | {' | '.join(PROBES)} |"
    yield f"|---|{'---|' * len(PROBES)}"
    for variant in variants:
        yield f"| {variant.name} | {' | '.join(_cells(found[variant.name]['probe'], 'pretrained'))} |"
    untrained: dict[str, list[str]] = {}
    for variant in variants:
        cells = " | ".join(_cells(found[variant.name]["probe"], "untrained"))
        untrained.setdefault(cells, []).append(variant.name)
    for cells, names in untrained.items():
        yield f"| untrained{'' if len(untrained) == 1 else ', as of ' + ', '.join(names)} | {cells} |"


def _cells(probe: Mapping[str, Any], kind: str) -> Iterator[str]:
    for task in PROBES:
        value = probe[task][kind]
        low, high = value["interval_95"]
        yield f"{value['pooled']:.3f} ({low:.3f} to {high:.3f})"


def scores(probe: Mapping[str, Any]) -> dict[str, Any]:
    """Reduce the metrics of a probe to the scores of the tables, and paired differences from the untrained encoder."""
    found: dict[str, Any] = {}
    for task, score in PROBES.items():
        of_task = probe[f"hbn.{task}"]
        by_kind = {kind: of_task[kind].get("persons", of_task[kind])[score] for kind in KINDS}
        found[task] = {kind: {key: value[key] for key in ("pooled", "interval_95")} for kind, value in by_kind.items()}
        difference = of_task["paired_difference"]["untrained"]
        found[task]["above_untrained"] = {key: difference[key] for key in ("of", "mean", "interval_95")}
    return found


def _model(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name)


if __name__ == "__main__":
    main()
