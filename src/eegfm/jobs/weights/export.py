"""Export an encoder for other programs: Hugging Face, ONNX and torch.export in one folder, whole or not at all."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint
from eegfm.errors import ConfigError
from eegfm.inference.module import Inference
from eegfm.jobs.weights.answering import Answering, build_exported
from eegfm.jobs.weights.config import ExportParams
from eegfm.jobs.weights.export_onnx import ONNX_FILE, check_onnx, write_onnx
from eegfm.jobs.weights.export_programs import INPUT, TORCH_FILE, compare, trace, write_torch_export
from eegfm.jobs.weights.exported import CONFIG_FILE, WEIGHTS_FILE, load_exported, write_exported
from eegfm.jobs.weights.model_card import CARD_FILE, write_card
from eegfm.jobs.weights.whole_folder import whole_folder

logger = logging.getLogger(__name__)

OF_A_TRAINING = "@"
"""Stands between a task and the fold and seed of its training, in names of finetuned encoders."""
_FILES = (CONFIG_FILE, WEIGHTS_FILE, CARD_FILE, TORCH_FILE)


def export(checkpoint: Checkpoint, params: ExportParams, folder: Path) -> dict[str, Any]:
    """Write an encoder with reference and adapter for inference elsewhere, and compare every file with the module.

    Args:
        checkpoint: The encoder, pretrained here, imported, or finetuned; the latter with its head.
        params: Formats and montage.
        folder: Target folder. An earlier export is replaced in one step, and only if every format agrees.

    Returns:
        JSON-ready: input, outputs and their shapes, and the files and the largest difference of each format; what the
        head of a finetuned encoder answers (``answers``).

    Raises:
        ConfigError: The montage does not exist, onnx is not installed, or the folder holds files that no export wrote.
        CheckpointError: The encoder cannot be exported, or a file computes other values than the module.
    """
    if "onnx" in params.formats:
        check_onnx()
    model = build_exported(checkpoint, params.montage, accept_other_code=params.accept_other_code)
    _check_replaced(folder)
    model = model.requires_grad_(False)
    spec = SignalSpec.from_dict(checkpoint.header.signal_spec)
    n_channels, n_samples = spec.montages[model.montage].n_channels, spec.n_samples[model.montage]
    formats: dict[str, Any] = {}
    with whole_folder(folder) as new:
        if "huggingface" in params.formats:
            formats["huggingface"] = _write_huggingface(model, checkpoint, params, new, n_channels, n_samples)
        if {"onnx", "torch_export"} & set(params.formats):
            traced = trace(model, n_channels, n_samples)
            if "torch_export" in params.formats:
                formats["torch_export"] = write_torch_export(traced, model, n_channels, new)
            if "onnx" in params.formats:
                formats["onnx"] = write_onnx(traced, model, n_channels, n_samples, new)
    for name, found in formats.items():
        logger.info("Exported %s: %s, largest difference %.2g", name, ", ".join(found["files"]), found["difference"])
    return _facts(model, n_channels, n_samples) | {"formats": formats}


def finetuned(encoders: Mapping[str, Checkpoint], task: str | None) -> Checkpoint:
    """Choose the encoder of a task.

    Args:
        encoders: By ``corpus.task``, what a finetuning has stored. Names with ``OF_A_TRAINING`` are of other folds or
            seeds of a task, and are taken only if they are asked for.
        task: Name of one of them; needed where there are several.

    Raises:
        ConfigError: There is no such task, or none is named and there are several.
    """
    names = sorted(name for name in encoders if OF_A_TRAINING not in name)
    if task is None and len(names) == 1:
        return encoders[names[0]]
    if task is not None and task in encoders:
        return encoders[task]
    found = f"{task!r} is no task of the stored finetuning" if task else "several tasks are stored"
    raise ConfigError(f"export.task: {found}, {', '.join(names)}; choose one, such as --params=export.task={names[-1]}")


def _check_replaced(folder: Path) -> None:
    """Say that an earlier export will be replaced, and refuse to remove files of others."""
    found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    strangers = [name for name in found if name not in _FILES and not name.startswith(ONNX_FILE)]
    if strangers:
        raise ConfigError(
            f"{folder} holds what no export wrote ({', '.join(strangers[:3])}), and an export replaces the whole "
            "folder; move it away"
        )
    if found:
        logger.info("The earlier export in %s will be replaced", folder)


def _write_huggingface(
    model: Inference, checkpoint: Checkpoint, params: ExportParams, folder: Path, n_channels: int, n_samples: int
) -> dict[str, Any]:
    config = write_exported(model, checkpoint.header, folder)
    write_card(model, config, params.formats, folder)
    again = load_exported(folder, accept_other_code=params.accept_other_code).requires_grad_(False)
    difference = compare(again, model, n_channels, [n_samples], 0.0, WEIGHTS_FILE)
    return {"files": [CONFIG_FILE, WEIGHTS_FILE, CARD_FILE], "difference": difference, "tolerance": 0.0}


def _facts(model: Inference, n_channels: int, n_samples: int) -> dict[str, Any]:
    outputs = model(torch.zeros(1, n_channels, n_samples))
    shapes = {name: ["batch", *value.shape[1:]] for name, value in zip(model.outputs, outputs, strict=True)}
    said = {"answers": model.target._asdict()} if isinstance(model, Answering) else {}
    return said | {
        "montage": model.montage,
        "input": {INPUT: ["batch", n_channels, n_samples]},
        "unit": "uV",
        "outputs": shapes,
    }
