"""Export encoders as ONNX, run them with onnxruntime, and compare with the original module."""

import importlib
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eegfm.errors import CheckpointError, ConfigError
from eegfm.files import naming
from eegfm.inference.module import Inference
from eegfm.jobs.weights.export_programs import INPUT, Traced, reason, report, trace_fixed

logger = logging.getLogger(__name__)

ONNX_FILE = "encoder.onnx"
_MODULES = ("onnx", "onnxruntime", "onnxscript")
_FAILURES = ("Fail", "InvalidArgument", "InvalidGraph", "NotImplemented", "RuntimeException")


def check_onnx() -> None:
    """Check first that ONNX files can be written and run.

    Raises:
        ConfigError: The extra ``export`` is not installed.
    """
    try:
        for name in _MODULES:
            importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f'export.formats: onnx needs {error.name}; install it with pip install "eegfm[export]", or leave onnx out'
        ) from error


def write_onnx(traced: Traced, model: Inference, n_channels: int, n_samples: int, folder: Path) -> dict[str, Any]:
    """Write encoder.onnx, run it with onnxruntime and compare it with the module.

    A program of any length that ONNX cannot express is traced again for one length.

    Args:
        traced: The program.
        model: The original module.
        n_channels: Channels C.
        n_samples: Samples of the one length.
        folder: Target folder.

    Raises:
        CheckpointError: ONNX cannot express the encoder, or the results differ.
    """
    try:
        return _write(traced, model, n_channels, folder)
    except CheckpointError as error:
        if not traced.is_any_length:
            raise
        logger.info("ONNX is written for windows of %d samples only: %s", n_samples, reason(error))
    return _write(trace_fixed(model, n_channels, n_samples), model, n_channels, folder)


def _write(traced: Traced, model: Inference, n_channels: int, folder: Path) -> dict[str, Any]:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as runtime

    # The errors of onnxruntime have no common base class.
    failures = (RuntimeError, *(getattr(runtime, name) for name in _FAILURES))
    path = folder / ONNX_FILE
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised, so they need no log
    try:
        with _quiet():
            made = torch.onnx.export(
                traced.program, dynamo=True, input_names=[INPUT], output_names=list(model.outputs), verbose=False
            )
            assert made is not None, "the exporter returns a program when it is not given a file"
            with naming(path):
                made.save(path)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

        def run(recorded_uv: Tensor) -> list[Tensor]:
            return [torch.from_numpy(value) for value in session.run(list(model.outputs), {INPUT: recorded_uv.numpy()})]

        return report("onnx", run, ONNX_FILE, traced, model, n_channels)
    except failures as error:
        raise CheckpointError(
            f"{model.said} cannot be exported to ONNX ({reason(error)}); leave onnx out of export.formats"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the exporter's progress, and its remarks on packages that are not needed."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir", "onnxscript")]
    levels = [talkative.level for talkative in loggers]
    for talkative in loggers:
        talkative.setLevel(logging.ERROR)
    try:
        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for talkative, level in zip(loggers, levels, strict=True):
            talkative.setLevel(level)
