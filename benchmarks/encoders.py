"""Cost of the encoders: parameters, operations, memory and windows per second, beside published figures.

python -m benchmarks run encoders
python -m benchmarks.encoder_table benchmarks/results/encoders_DATE.json docs/encoders.md    # into the page
"""

import ctypes
import statistics
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.encoder_rows import ROWS, Row
from benchmarks.processes import MissingPeerError, Process, status_mb, task
from benchmarks.runner import Line, Part, Setting

if TYPE_CHECKING:
    from torch import nn

    from eegfm.batch import WindowBatch
    from eegfm.encoders.base import Encoder

WINDOW_S, FEW, MANY, BATCH_SIZE = 10.0, 21, 129, 8
N_REPEATS = {False: 7, True: 1}
N_CLASSES = 2
SCAN_OPERATIONS = 7
"""Of a selective scan per step, channel and number of state: Δ A, its exponential, Δ x B, and two multiply-adds."""


def counts(setting: Setting) -> Iterator[Line]:
    """Weights of all encoders; operations of those that are run."""
    for name, row in ROWS.items():
        with Process(setting.core, peers=True) as process:
            try:
                found, _ = process.run(task(measured_counts, row))
            except MissingPeerError as error:
                yield Line(f"count {name}", {"skipped": str(error)}, {})
                continue
        yield Line(f"count {name}", found, {})


def costs(setting: Setting) -> Iterator[Line]:
    """Memory of a training step, and windows per second, each encoder in a process of its own."""
    for name, row in ROWS.items():
        if row.is_counted_only:
            continue
        with Process(setting.core, peers=True) as process:
            try:
                found, _ = process.run(task(measured_costs, row, N_REPEATS[setting.quick]))
            except MissingPeerError as error:
                yield Line(f"cost {name}", {"skipped": str(error)}, {})
                continue
        medians = {key: statistics.median(seconds) for key, seconds in found["seconds"].items()}
        values = {f"{key}_windows_per_s": BATCH_SIZE / median for key, median in medians.items()}
        yield Line(f"cost {name}", {"peak_mb": found["peak_mb"], **values}, found["seconds"])


PARTS: dict[str, Part] = {"counts": counts, "costs": costs}


def measured_counts(row: Row, folder: Path) -> dict[str, Any]:
    """Weights at 21 channels, and operations at 21 and 129 channels x 10 s, per window.

    Where figures are published for another window, weights and operations are also those at that window, with the
    published head.
    """
    found: dict[str, Any] = {"n_parameters": n_parameters(_only_shapes(row, FEW, _n_samples(row)))}
    if row.published_window is not None:
        found |= _counts_as_published(row, *row.published_window)
    if row.is_counted_only:
        return found
    for n_channels in (FEW, MANY):
        encoder, batch = built(row, n_channels, _n_samples(row)), windows(row, n_channels, _n_samples(row), 1)
        found[f"flops_{n_channels}"] = n_flops(encoder, lambda e=encoder, b=batch: e(b))
        head = new_head(encoder, batch)
        found[f"flops_{n_channels}_with_head"] = n_flops(encoder, lambda e=encoder, b=batch, h=head: scores(e, h, b))
    return found


def _counts_as_published(row: Row, n_channels: int, n_samples: int) -> dict[str, Any]:
    """At the window of the publication, without memory for weights and signals, which the largest sizes would fill."""
    import torch
    from torch import nn

    encoder = _only_shapes(row, n_channels, n_samples)
    head = published_head(encoder)
    found = {"n_parameters_published_window": n_parameters(encoder), "n_parameters_published_head": n_parameters(head)}
    if row.config["name"] == "femba":
        batch = windows(row, n_channels, n_samples, 1)
        for name in ("signal", "channel_positions"):
            batch[name] = batch[name].to("meta")
        with torch.device("meta"):
            found["flops_published_window"] = n_flops(encoder, lambda: encoder(batch))
            model = nn.Sequential(encoder, head)
            found["flops_published_window_with_head"] = n_flops(model, lambda: model(batch))
    return found


def measured_costs(row: Row, n_repeats: int, folder: Path) -> dict[str, Any]:
    """CPU seconds of forward passes and training steps of 8 windows of 21 channels x 10 s, in float32.

    Returns:
        Seconds of each repetition after the first; megabytes by which the largest resident memory of the process (VmHWM
        of /proc, set back before) exceeds what it held before the first step: gradients, activations and the state of
        AdamW.
    """
    import torch
    from torch.nn.functional import cross_entropy

    encoder = built(row, FEW, _n_samples(row))
    head = new_head(encoder, windows(row, FEW, _n_samples(row), 1))
    batch, target = windows(row, FEW, _n_samples(row), BATCH_SIZE), torch.arange(BATCH_SIZE) % N_CLASSES
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=1e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        cross_entropy(scores(encoder, head, batch), target).backward()
        optimizer.step()

    def forward() -> None:
        with torch.inference_mode():
            encoder(batch)

    encoder.train()
    before_mb = _reset_peak_mb()
    step_s = _timed(step, n_repeats)
    peak_mb = status_mb("VmHWM") - before_mb
    encoder.eval()
    return {"peak_mb": peak_mb, "seconds": {"step": step_s, "forward": _timed(forward, n_repeats)}}


def built(row: Row, n_channels: int, n_samples: int) -> "Encoder":
    """The encoder of a row for windows of one montage.

    Raises:
        ImportError: It is one of braindecode, which does not load.
    """
    from pydantic import TypeAdapter

    from eegfm.batch import SignalSpec
    from eegfm.encoders.config import AnyEncoderConfig
    from eegfm.encoders.load import new_encoder

    if row.config["name"] == "braindecode":
        try:
            import_module("braindecode.models")
        except (OSError, RuntimeError) as error:
            raise ImportError(f"braindecode does not load: {error}") from error
    montage = _montage(n_channels)
    spec = SignalSpec(row.rate_hz, {montage.name: montage}, {montage.name: n_samples})
    return new_encoder(TypeAdapter(AnyEncoderConfig).validate_python(dict(row.config)), spec, seed=0).eval()


def _only_shapes(row: Row, n_channels: int, n_samples: int) -> "Encoder":
    """The encoder without memory for its weights, where it can be built so."""
    import torch

    device = "cpu" if row.config["name"] == "braindecode" else "meta"
    with torch.device(device):
        return built(row, n_channels, n_samples)


def published_head(encoder: "Encoder") -> "nn.Module":
    """What classifies two classes in the publication, on the device of the encoder.

    Raises:
        ValueError: Nothing is known about this encoder's head.
    """
    from eegfm.heads.base import HeadSpec
    from eegfm.heads.config import FembaHeadConfig, QueryAggregationConfig
    from eegfm.targets import TargetSpec

    config = {"femba": FembaHeadConfig(), "luna": QueryAggregationConfig()}.get(encoder.config.name)
    if config is None:
        raise ValueError(encoder.config.name)
    target = TargetSpec.of_classes(f"class_{k}" for k in range(N_CLASSES))
    head: nn.Module = config.build(HeadSpec(encoder.d_model, 1, None, target))
    return head.to(next(encoder.parameters()).device)


def windows(row: Row, n_channels: int, n_samples: int, n_windows: int) -> "WindowBatch":
    """White noise of 20 uV, over 30."""
    import torch

    montage = _montage(n_channels)
    signal_uv = 20 * torch.randn(n_windows, n_channels, n_samples, generator=torch.Generator().manual_seed(0))
    return {
        "signal": signal_uv / 30,
        "signal_uv": signal_uv,
        "channel_positions": torch.from_numpy(montage.positions()).expand(n_windows, -1, -1),
        "channel_mask": torch.ones(1, 1, dtype=torch.bool).expand(n_windows, n_channels),
        "reference": "average",
        "recording": torch.zeros(n_windows, dtype=torch.int64),
        "corpus": "simulated",
        "montage": montage.name,
    }


def new_head(encoder: "Encoder", batch: "WindowBatch") -> "nn.Linear":
    """A linear head on the features, averaged over channels."""
    import torch

    with torch.no_grad():
        return torch.nn.Linear(encoder.features(batch).values.shape[-1], N_CLASSES)


def scores(encoder: "Encoder", head: "nn.Linear", batch: "WindowBatch") -> Any:
    """(B, 2)."""
    return head(encoder.features(batch).values.mean(dim=1))


def n_parameters(module: "nn.Module") -> int:
    """Numbers that are trained."""
    return sum(parameter.numel() for parameter in module.parameters())


def n_flops(module: "nn.Module", run: Callable[[], Any]) -> int:
    """Floating-point operations of matrix products, convolutions and attention, a multiply-add being two.

    torch's ``FlopCounterMode`` sees nothing elementwise, so no selective scan either: that is added by formula. It does
    not know the CPU's own attention kernel, which is switched off for it.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from eegfm.encoders.femba.mamba import Mamba

    n_scanned = 0

    def count(block: "nn.Module", inputs: tuple[Any, ...], output: Any) -> None:
        nonlocal n_scanned
        n_scanned += SCAN_OPERATIONS * output.shape[0] * output.shape[1] * block.decay_log.numel()

    hooks = [block.register_forward_hook(count) for block in module.modules() if isinstance(block, Mamba)]
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    for hook in hooks:
        hook.remove()
    return int(counter.get_total_flops()) + n_scanned


def _montage(n_channels: int) -> Any:
    from eegfm.signal.montages.canonical import canonical_montage, spread_montage

    names = {FEW: "1020_21", MANY: "gsn_129"}
    return canonical_montage(names[n_channels]) if n_channels in names else spread_montage(n_channels)


def _n_samples(row: Row) -> int:
    return round(WINDOW_S * row.rate_hz)


def _timed(run: Callable[[], None], n_repeats: int) -> list[float]:
    seconds = []
    for _ in range(n_repeats + 1):
        start_s = time.process_time()
        run()
        seconds.append(time.process_time() - start_s)
    return seconds[1:]


def _reset_peak_mb() -> float:
    ctypes.CDLL(None).malloc_trim(0)  # what earlier passes have freed is no longer resident
    Path("/proc/self/clear_refs").write_text("5")  # the largest resident memory is the present one again
    return status_mb("VmRSS")
