"""Time of an optimizer's step beside AdamW's, for the weights of the default encoder.

python -m benchmarks run optimizers
"""

import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.processes import Task, in_turns, task
from benchmarks.runner import Line, Part, Setting

ENCODER = {"name": "patch_transformer", "d_model": 192, "head_size": 32, "n_layers": 8}
REFERENCE = "adamw"
CANDIDATES: dict[str, dict[str, Any]] = {
    REFERENCE: {"name": "adamw"},
    "adamw_by_depth": {"name": "adamw", "layer_decay": 0.75},
    "adamw_average": {"name": "adamw"},
    "adam": {"name": "adam"},
    "sgd": {"name": "sgd"},
    "lamb": {"name": "lamb"},
    "lamb_one_by_one": {"name": "lamb"},
    "muon": {"name": "muon"},
}
N_REPEATS, N_STEPS = 7, 20


def cpu(setting: Setting) -> Iterator[Line]:
    """CPU time of a step without forward and backward pass, each candidate in a process of its own, in turns."""
    n_layers = 2 if setting.quick else 8
    tasks: dict[str, Task] = {name: task(steps_s, name, "cpu", n_layers, N_STEPS) for name in CANDIDATES}
    found = in_turns(tasks, setting.core, 2 if setting.quick else N_REPEATS)
    yield from _lines("cpu", {name: [step_s for step_s, _ in turns] for name, turns in found.items()})


def cuda(setting: Setting) -> Iterator[Line]:
    """Wall time of a step on the GPU, where there is one; candidates take turns in one process."""
    import torch

    if not torch.cuda.is_available():
        yield Line("cuda", {"skipped": "no GPU"}, {})
        return
    seconds: dict[str, list[float]] = {name: [] for name in CANDIDATES}
    for turn in range(1 + (2 if setting.quick else N_REPEATS)):
        for name in CANDIDATES:
            step_s = steps_s(name, "cuda", 2 if setting.quick else 8, N_STEPS, Path())
            seconds[name] += [step_s] if turn else []
    yield from _lines("cuda", seconds)


PARTS: dict[str, Part] = {"cpu": cpu, "cuda": cuda}


def steps_s(candidate: str, device: str, n_layers: int, n_steps: int, folder: Path) -> float:
    """Seconds per step of some steps: of this process's CPU time, or of wall time on a GPU."""
    import torch

    step = stepper(candidate, device, n_layers)
    step()
    if device == "cpu":
        start_s = time.process_time()
    else:
        torch.cuda.synchronize()
        start_s = time.perf_counter()
    for _ in range(n_steps):
        step()
    if device == "cpu":
        return (time.process_time() - start_s) / n_steps
    torch.cuda.synchronize()
    return (time.perf_counter() - start_s) / n_steps


@cache
def stepper(candidate: str, device: str, n_layers: int) -> Callable[[], None]:
    """What takes one more step with the same gradients; made once per process."""
    import torch

    from eegfm.batch import SignalSpec
    from eegfm.inference.backbone import new_backbone
    from eegfm.nn.weights import build_seeded
    from eegfm.signal.montages.canonical import spread_montage
    from eegfm.training.blocks import WeightAverageParams
    from eegfm.training.config import PretrainParams
    from eegfm.training.weight_average import WeightAverage

    encoder = {**ENCODER, "n_layers": n_layers}
    params = PretrainParams.model_validate({"encoder": encoder, "optimizer": CANDIDATES[candidate], "n_steps": 1})
    montage = spread_montage(21)
    spec = SignalSpec(100, {montage.name: montage}, {montage.name: 1000})
    backbone = new_backbone(params.encoder, params.adapter, spec, 0, reference="average", bad_channels="mask")
    objective = build_seeded(params.objective, 0, backbone).to(device)
    draw = torch.Generator(device).manual_seed(0)
    for p in objective.parameters():
        p.grad = 1e-3 * torch.randn(p.shape, generator=draw, device=device)
    if candidate == "lamb_one_by_one":
        return one_by_one(objective)
    optimizer = params.optimizer.build(objective)
    if candidate != "adamw_average":
        return optimizer_step(optimizer)
    average = WeightAverage(WeightAverageParams(start_ratio=0), objective, 1)
    is_taken = torch.ones((), dtype=torch.bool, device=device)

    def step() -> None:
        optimizer.step()
        average.update(0, is_taken)

    return step


def optimizer_step(optimizer: Any) -> Callable[[], None]:
    """The step of an optimizer, whatever it returns."""

    def step() -> None:
        optimizer.step()

    return step


def one_by_one(module: Any) -> Callable[[], None]:
    """LAMB as it is often written: a few operations for each weight, and its lengths read by Python."""
    import torch

    states = [(p, torch.zeros_like(p), torch.zeros_like(p)) for p in module.parameters()]

    @torch.no_grad()
    def step() -> None:
        for p, mean, square in states:
            mean.mul_(0.9).add_(p.grad, alpha=0.1)
            square.mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
            update = mean / square.sqrt().add(1e-6)
            update.add_(p, alpha=0.01)
            of_weight, of_step = p.norm(), update.norm()
            ratio = float(of_weight / of_step) if of_weight > 0 and of_step > 0 else 1.0
            p.add_(update, alpha=-1e-3 * ratio)

    return step


def _lines(case: str, seconds: dict[str, list[float]]) -> Iterator[Line]:
    for name, found in seconds.items():
        times = median(found) / median(seconds[REFERENCE])
        yield Line(f"{case}_{name}", {"times_adamw": times, "step_ms": 1e3 * median(found)}, {"step_s": found})
