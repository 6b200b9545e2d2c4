"""Nodes of the export pipelines."""

from pathlib import Path
from typing import Any

from eegfm.checkpoint import Checkpoint
from eegfm.jobs.weights.config import ExportParams


def export_encoder(encoder: Checkpoint, params: ExportParams, folder: Path) -> dict[str, Any]:
    """Write the encoder for inference elsewhere, each file compared with the encoder."""
    from eegfm.jobs.weights.export import export

    return {"folder": folder, "report": export(encoder, params, folder)}


def export_finetuned(encoder: dict[str, Checkpoint], params: ExportParams, folder: Path) -> dict[str, Any]:
    """Write the finetuned encoder of a task with its head, see ``export_encoder``."""
    from eegfm.jobs.weights.export import export, finetuned

    return {"folder": folder, "report": export(finetuned(encoder, params.task), params, folder)}
