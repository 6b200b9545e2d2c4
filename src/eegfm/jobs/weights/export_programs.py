"""Export encoders as torch.export programs, and compare with the original module."""

import io
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from eegfm.errors import CheckpointError, EegfmError
from eegfm.files import naming
from eegfm.inference.module import Inference

logger = logging.getLogger(__name__)

INPUT = "recorded_uv"
TORCH_FILE = "encoder.pt2"
TOLERANCE = {"torch_export": 1e-5, "onnx": 1e-3}
"""Largest allowed difference from the module, relative to the largest absolute value of an output. ONNX computes
spectra, sums and exponentials in another order, which is visible in logarithms of small powers."""
_AMPLITUDE_UV = 30.0

Run = Callable[[Tensor], Sequence[Tensor]]


@dataclass(frozen=True)
class Traced:
    """A program and the windows that it takes.

    Args:
        program: Program of torch.export.
        n_samples: Window lengths of the comparison. A single length is the only length that the program takes.
        is_any_length: Whether the program takes any whole number of patches.
    """

    program: ExportedProgram
    n_samples: tuple[int, ...]
    is_any_length: bool


def trace(model: Inference, n_channels: int, n_samples: int) -> Traced:
    """Trace a module for any batch size and, if the encoder allows it, any whole number of patches.

    Args:
        model: The module.
        n_channels: Channels C of its montage.
        n_samples: Samples of its windows.

    Raises:
        CheckpointError: The module cannot be traced.
    """
    encoder, patch = model.backbone.encoder, model.backbone.encoder.patch_samples
    # Tensor code takes other paths for one patch than for several, so a program supports only one of the two cases.
    if not encoder.traits.one_length and n_samples > patch and _takes(model, n_channels, n_samples + patch):
        lengths = tuple(sorted({2 * patch, n_samples, n_samples + patch}))
        try:
            program = _traced(model, torch.zeros(2, n_channels, n_samples), {2: patch * Dim("n_patches", min=2)})
            compare(program.module(), model, n_channels, lengths, TOLERANCE["torch_export"], "torch.export")
            return Traced(program, lengths, is_any_length=True)
        except (RuntimeError, AssertionError, EegfmError) as error:
            logger.info("The encoder is exported for windows of %d samples only: %s", n_samples, reason(error))
    return trace_fixed(model, n_channels, n_samples)


def trace_fixed(model: Inference, n_channels: int, n_samples: int) -> Traced:
    """Trace a module for any batch size and one window length; see ``trace``."""
    try:
        program = _traced(model, torch.zeros(2, n_channels, n_samples), {})
    except RuntimeError as error:
        raise CheckpointError(
            f"{model.said} cannot be exported ({reason(error)}); leave torch_export and onnx out of export.formats"
        ) from error
    return Traced(program, (n_samples,), is_any_length=False)


def write_torch_export(traced: Traced, model: Inference, n_channels: int, folder: Path) -> dict[str, Any]:
    """Write encoder.pt2, read it back and compare it with the module.

    Raises:
        CheckpointError: The results differ.
    """
    path = folder / TORCH_FILE
    buffer = io.BytesIO()
    torch.export.save(traced.program, buffer)  # on a full disk torch would abort the process
    with naming(path):
        path.write_bytes(buffer.getvalue())
    del buffer
    run = torch.export.load(path).module()
    return report("torch_export", run, TORCH_FILE, traced, model, n_channels)


def compare(run: Run, model: Inference, n_channels: int, lengths: Sequence[int], tolerance: float, what: str) -> float:
    """Largest difference of a program from its module on random windows, over the module's largest value.

    Args:
        run: The program.
        model: The module.
        n_channels: Channels C.
        lengths: Samples of windows.
        tolerance: Largest allowed difference.
        what: Name of the program for messages.

    Raises:
        CheckpointError: The difference exceeds the tolerance, or shapes differ.
    """
    differences, generator = [], torch.Generator().manual_seed(0)
    for k, n_samples in enumerate(lengths):
        recorded_uv = _AMPLITUDE_UV * torch.randn(1 + k, n_channels, n_samples, generator=generator)
        for name, found, expected in zip(model.outputs, run(recorded_uv), model(recorded_uv), strict=True):
            if found.shape != expected.shape:
                raise CheckpointError(
                    f"{what}: {name} are of shape {tuple(found.shape)}, the module's {tuple(expected.shape)}"
                )
            scale = max(float(expected.abs().max()), torch.finfo(torch.float32).tiny)
            differences.append(float((found - expected).abs().max()) / scale)
    worst = float(torch.tensor(differences, dtype=torch.float64).max())  # NaN if one difference is NaN
    if not worst <= tolerance:
        raise CheckpointError(
            f"{what}: results differ from the module's by {worst:.2g} of their largest value, more than "
            f"{tolerance:g}; nothing was written, leave that format out of export.formats"
        )
    return worst


def reason(error: BaseException) -> str:
    """First line of a library's message, shortened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]


def report(name: str, run: Run, file: str, traced: Traced, model: Inference, n_channels: int) -> dict[str, Any]:
    """Compare a program with its module and log the inputs that it takes; see ``compare``."""
    tolerance, patch = TOLERANCE[name], model.backbone.encoder.patch_samples
    return {
        "files": [file],
        "difference": compare(run, model, n_channels, traced.n_samples, tolerance, file),
        "tolerance": tolerance,
        "batch_size": "any",
        "n_samples": f"{patch} times 2 or more" if traced.is_any_length else traced.n_samples[0],
    }


def _traced(model: Inference, example: Tensor, lengths: dict[int, Any]) -> ExportedProgram:
    # Trace in strict mode, so that lengths from len() stay symbols.
    program = torch.export.export(model, (example,), dynamic_shapes=({0: Dim("batch")} | lengths,), strict=True)
    # Inline autocast regions, because a file cannot hold such nodes. No operator is decomposed.
    inlined: ExportedProgram = program.run_decompositions({})
    return inlined


def _takes(model: Inference, n_channels: int, n_samples: int) -> bool:
    """True if the encoder itself takes windows of this length."""
    try:
        model(torch.zeros(1, n_channels, n_samples))
    except (EegfmError, RuntimeError, AssertionError):
        return False
    return True
