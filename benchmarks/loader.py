"""The training loader beside the peers' data sets: warm and cold batches, time to open, memory."""

from collections.abc import Iterator, Mapping
from functools import partial
from statistics import median
from typing import NamedTuple

from benchmarks.loader_cold import cold
from benchmarks.loader_data import Material
from benchmarks.loader_opening import opening
from benchmarks.loader_ours import copied, gathered, loaded, loaded_float32, loaded_float32_contiguous
from benchmarks.loader_peers import peer_windows
from benchmarks.processes import Task, in_turns, task
from benchmarks.runner import Line, Part, Setting

CLINICAL, QUICK_CLINICAL = Material(64, 21, 1200, 2), Material(8, 21, 240, 2)
DENSE, QUICK_DENSE = Material(8, 129, 1200, 4), Material(4, 129, 480, 4)
N_REPEATS = 7


class Target(NamedTuple):
    """What a ratio is to reach: int16 from the loader, float32 on the CPU where it is compared."""

    i16: float
    f32: float | None = None


CLINICAL_TARGETS = {
    "braindecode_lazy": Target(50, 25),
    "braindecode_lazy_edf": Target(50, 25),
    "braindecode_preload": Target(10),
    "labram_hdf5": Target(60),
    "biofoundation_hdf5": Target(60),
    "cbramod_lmdb": Target(10, 5),
}
DENSE_TARGETS = {"braindecode_lazy": Target(30)}


def _warm(
    material: Material, quick_material: Material, targets: Mapping[str, Target], setting: Setting
) -> Iterator[Line]:
    material = quick_material if setting.quick else material
    scale = 4 * 50_000 // (material.n_channels * material.window)  # so that every turn takes some tenths of a second
    n_ours, n_peer = (scale * 10, 2) if setting.quick else (scale * 20, max(scale // 4, 4))
    tasks: dict[str, Task] = {
        "gather": task(gathered, material, n_ours),
        "memcpy": task(copied, material, n_ours),
        "i16": task(loaded, material, n_ours),
        "f32": task(loaded_float32, material, n_ours // 2),
        "f32_contiguous": task(loaded_float32_contiguous, material, n_ours // 4),
        **{peer: task(peer_windows, peer, material, n_peer) for peer in targets},
    }
    found = in_turns(tasks, setting.core, 2 if setting.quick else N_REPEATS)
    # CPU seconds per window of every repetition.
    costs_s = {name: [cpu_s / n for n, cpu_s in turns] for name, turns in found.items()}
    yield from _beside_memcpy(material.name, costs_s)
    for peer, target in targets.items():
        yield from _beside_peer(material.name, peer, target, costs_s)


def _beside_memcpy(case: str, costs_s: Mapping[str, list[float]]) -> Iterator[Line]:
    if "memcpy" not in costs_s:
        yield Line(f"gather_{case}_i16", {"skipped": "no C compiler (cc) for the limit"}, {})
        return
    share = median(costs_s["memcpy"]) / median(costs_s["gather"])
    values = {"limit_share": share, "target": 0.75, "reached": share >= 0.75}
    speed = {"windows_per_s": 1 / median(costs_s["gather"]), "limit_per_s": 1 / median(costs_s["memcpy"])}
    samples = {"ours_s": costs_s["gather"], "limit_s": costs_s["memcpy"]}
    yield Line(f"gather_{case}_i16", values | speed, samples)


def _beside_peer(case: str, peer: str, target: Target, costs_s: Mapping[str, list[float]]) -> Iterator[Line]:
    if peer not in costs_s:
        yield Line(f"warm_{case}", {"peer": peer, "not_installed": "run benchmarks/setup_peers.sh"}, {})
        return
    aims = {"i16": target.i16, "f32": target.f32, "f32_contiguous": None}
    for kind, aim in aims.items():
        ratio = median(costs_s[peer]) / median(costs_s[kind])
        values: dict[str, object] = {"peer": peer, "ratio": ratio}
        if "memcpy" in costs_s:
            values["limit_share"] = median(costs_s["memcpy"]) / median(costs_s[kind])
        if aim is not None:
            values |= {"target": aim, "reached": ratio >= aim}
        values |= {"ours_per_s": 1 / median(costs_s[kind]), "peer_per_s": 1 / median(costs_s[peer])}
        samples = {"ours_s": costs_s[kind], "peer_s": costs_s[peer], "limit_s": costs_s.get("memcpy")}
        yield Line(f"warm_{case}_{kind}", values, samples)


PARTS: dict[str, Part] = {
    "warm": partial(_warm, CLINICAL, QUICK_CLINICAL, CLINICAL_TARGETS),
    "dense": partial(_warm, DENSE, QUICK_DENSE, DENSE_TARGETS),
    "cold": partial(cold, CLINICAL, QUICK_CLINICAL),
    "opening": opening,
}
