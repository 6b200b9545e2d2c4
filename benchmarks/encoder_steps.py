"""Training steps of the default encoder by attention and objective, against full attention over all tokens.

python -m benchmarks run encoder_steps
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cache, partial
from itertools import count
from pathlib import Path
from statistics import median
from types import MethodType
from typing import Any, NamedTuple

from benchmarks.processes import Task, in_turns, task
from benchmarks.runner import Line, Part, Setting

ENCODER = {"d_model": 192, "head_size": 32, "n_layers": 8}
RATE_HZ = 100
N_REPEATS = 7
REFERENCE = "all_full"


class Shape(NamedTuple):
    """Windows of a step; patches last 1 s."""

    n_windows: int
    n_channels: int
    duration_s: int


class Candidate(NamedTuple):
    """What is trained how."""

    attention: str
    objective: dict[str, Any]
    embeds_all: bool = False
    patch_embedding: str = "linear"


ALL, ANY_HALF, HALF_GRID = {"name": "masked"}, {"name": "mae", "mask": {"name": "random"}}, {"name": "mae"}
CANDIDATES = {
    REFERENCE: Candidate("full", ALL),
    "all_alternating": Candidate("alternating", ALL),
    "all_criss_cross": Candidate("criss_cross", ALL),
    "visible_full": Candidate("full", ANY_HALF),
    "visible_alternating": Candidate("alternating", HALF_GRID),
    "visible_criss_cross": Candidate("criss_cross", HALF_GRID),
    "visible_alternating_embeds_all": Candidate("alternating", HALF_GRID, embeds_all=True),
    "visible_conv": Candidate("alternating", HALF_GRID, patch_embedding="conv"),
    "visible_conv_embeds_all": Candidate("alternating", HALF_GRID, embeds_all=True, patch_embedding="conv"),
}
SHAPES = {"129ch_4s": Shape(4, 129, 4), "129ch_20s": Shape(1, 129, 20), "21ch_10s": Shape(8, 21, 10)}
TARGETS = {
    "129ch_4s": {"all_alternating": 1.5, "visible_full": 2.0, "visible_alternating": 2.2},
    "129ch_20s": {"all_alternating": 2.5},
    "21ch_10s": {},
}
"""By the project's own goals, for steps in bfloat16: in float32 matrix products weigh more, attention less."""


def steps(case: str, setting: Setting) -> Iterator[Line]:
    """CPU time of a step, each candidate in a process of its own, in turns."""
    shape, n_layers = (Shape(1, 21, 2), 2) if setting.quick else (SHAPES[case], ENCODER["n_layers"])
    tasks: dict[str, Task] = {name: task(trained_step, name, shape, n_layers) for name in CANDIDATES}
    found = in_turns(tasks, setting.core, 2 if setting.quick else N_REPEATS)
    seconds = {name: [step_s for (step_s, _), _ in turns] for name, turns in found.items()}
    (_, precision), _ = found[REFERENCE][0]
    for name in CANDIDATES:
        ratio = median(seconds[REFERENCE]) / median(seconds[name])
        values: dict[str, Any] = {"ratio": ratio, "precision": precision, "step_ms": 1e3 * median(seconds[name])}
        target = TARGETS[case].get(name)
        if target is not None and precision == "bfloat16":
            values |= {"target": target, "reached": ratio >= target}
        elif target is not None:
            values |= {"target_in_bfloat16": target}
        yield Line(f"{case}_{name}", values, {"step_s": seconds[name]})


def trained_step(candidate: str, shape: Shape, n_layers: int, folder: Path) -> tuple[float, str]:
    """Train one step.

    Returns:
        CPU seconds of forward, backward and update, and the number format of matrix products: bfloat16 where the
        processor computes with it; elsewhere it would be emulated, many times slower than float32.
    """
    import torch

    from eegfm.training.bfloat16 import check_bfloat16

    if has_bfloat16():
        check_bfloat16(torch.device("cpu"))
    step = trainer(candidate, shape, n_layers)
    start_s = time.process_time()
    step(torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()))
    return time.process_time() - start_s, "bfloat16" if has_bfloat16() else "float32"


@cache
def trainer(candidate: str, shape: Shape, n_layers: int) -> Callable[[AbstractContextManager[Any]], None]:
    """What trains one more step, its forward pass within a context; made once per process."""
    from eegfm.batch import SignalSpec
    from eegfm.inference.backbone import new_backbone
    from eegfm.nn.context import Context
    from eegfm.nn.weights import build_seeded
    from eegfm.signal.montages.canonical import spread_montage
    from eegfm.training.config import PretrainParams

    attention, objective_choices, embeds_all, patch_embedding = CANDIDATES[candidate]
    choices = {"n_layers": n_layers, "attention": attention, "patch_embedding": patch_embedding}
    encoder_choices = {"name": "patch_transformer", **ENCODER, **choices}
    params = PretrainParams(encoder=encoder_choices, objective=objective_choices, n_steps=1)
    montage = spread_montage(shape.n_channels)
    spec = SignalSpec(RATE_HZ, {montage.name: montage}, {montage.name: RATE_HZ * shape.duration_s})
    backbone = new_backbone(
        params.encoder, params.adapter, spec, 0, reference="as_recorded", bad_channels=params.bad_channels
    )
    # Of windows in microvolts: the encoder is what is measured.
    backbone.prepare = lambda batch, change=None: backbone.normalization(batch)
    if embeds_all:  # masked patches too, which are dropped then
        backbone.encoder.tokenize_visible = MethodType(lambda encoder, of, _: encoder.tokenize(of), backbone.encoder)
    objective = build_seeded(params.objective, 0, backbone)
    optimizer, numbers = params.optimizer.build(objective), count()
    batch = simulated_batch(montage, shape)

    def step(precision: AbstractContextManager[Any]) -> None:
        optimizer.zero_grad()
        with precision:
            loss = objective(batch, Context(next(numbers))).loss
        loss.backward()
        optimizer.step()

    return step


def simulated_batch(montage: Any, shape: Shape) -> Any:
    """White noise in microvolts: what a step costs does not depend on the signal."""
    import torch

    from eegfm.nn.rereference import all_real

    size = (shape.n_windows, shape.n_channels, RATE_HZ * shape.duration_s)
    return {
        "signal": 20 * torch.randn(size, generator=torch.Generator().manual_seed(0)),
        "channel_positions": torch.from_numpy(montage.positions()).expand(shape.n_windows, -1, -1),
        "channel_mask": all_real(shape.n_windows, shape.n_channels, torch.device("cpu")),
        "known_mask": None,
        "reference": "average",
        "recording": torch.zeros(shape.n_windows, dtype=torch.int64),
        "corpus": "simulated",
        "montage": montage.name,
    }


@cache
def has_bfloat16() -> bool:
    """Whether the processor multiplies matrices of bfloat16."""
    import torch

    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


PARTS: dict[str, Part] = {case: partial(steps, case) for case in SHAPES}
