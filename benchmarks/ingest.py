"""Ingestion: cost per recording beside the peers' chains, growth with the number of recordings, memory."""

import statistics
from collections.abc import Iterator
from functools import partial

from benchmarks.chains import N_COPIES, braindecode_chain, limit, mne_chain, ours
from benchmarks.growth import linear, memory
from benchmarks.processes import ratio, side_by_side, task
from benchmarks.recordings import LINE_HZ, Recipe, clinical, high_density, made
from benchmarks.runner import Line, Part, Setting


def _compared(case: str, recipe: Recipe, quick_recipe: Recipe, setting: Setting) -> Iterator[Line]:
    recipe = quick_recipe if setting.quick else recipe
    made(recipe)
    chains = {
        "ours": task(ours, recipe),
        "mne": task(mne_chain, recipe, LINE_HZ),
        "mne_without_notch": task(mne_chain, recipe, None),
        "braindecode": task(braindecode_chain, recipe, LINE_HZ),
        "limit": task(limit, recipe),
    }
    seconds = side_by_side(chains, setting.core, repeats=2 if setting.quick else 7)
    ours_s = [s / N_COPIES for s in seconds.pop("ours")]
    limit_s = seconds.pop("limit")
    share = 1 / ratio(ours_s, limit_s)
    samples = {"ours_s": ours_s, "limit_s": limit_s}
    for peer in ("mne", "mne_without_notch", "braindecode"):
        if peer not in seconds:
            yield Line(case, {"peer": peer, "not_installed": "run benchmarks/setup_peers.sh"}, {})
            continue
        peer_s = seconds[peer]
        values = {"peer": peer, "ratio": ratio(peer_s, ours_s), "limit_share": share}
        times = {"ours_ms": statistics.median(ours_s) * 1e3, "peer_ms": statistics.median(peer_s) * 1e3}
        yield Line(case, values | times, {**samples, "peer_s": peer_s})


PARTS: dict[str, Part] = {
    "edf": partial(_compared, "edf_32ch_250hz", clinical(1800), clinical(60)),
    "bdf": partial(_compared, "bdf_129ch_500hz", high_density("bdf", 600), high_density("bdf", 20)),
    "set": partial(_compared, "set_129ch_500hz", high_density("fdt", 600), high_density("fdt", 20)),
    "linear": linear,
    "memory": memory,
}
