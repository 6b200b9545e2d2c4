"""Node that turns published weights into a checkpoint."""

from pathlib import Path
from typing import Any

from eegfm.jobs.weights.config import ImportParams
from eegfm.overwrite import refuse_imported


def import_encoder(file: Path, params: ImportParams, encoder_file: Path) -> dict[str, Any]:
    """Read published weights, all of them and no others; the report says what became of each."""
    from eegfm.jobs.weights.import_weights import import_weights

    done = import_weights(file, params)
    refuse_imported(encoder_file, done.checkpoint.header, overwrite=params.overwrite)
    return {"encoder": done.checkpoint, "report": done.report}
