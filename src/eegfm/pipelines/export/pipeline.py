"""Export pipeline: encoder to files for other programs."""

from kedro.pipeline import Node, Pipeline

from eegfm.pipelines.export.nodes import export_encoder, export_finetuned
from eegfm.training.phases import FINETUNE


def create_pipeline(phase: str = "pretrain", name: str = "export") -> Pipeline:
    """Export the stored encoder of a phase, trained or imported, or that of a task with its head.

    Args:
        phase: Name of the phase; ``finetune`` for the encoders of tasks.
        name: Tag of the step, and first part of the entry of its report.
    """
    node = Node(
        export_finetuned if phase == FINETUNE else export_encoder,
        inputs={"encoder": f"{phase}.encoder", "params": "params:export", "folder": f"{phase}.export_folder"},
        outputs={"folder": f"{phase}.export", "report": f"{name}.report"},
        name="export_encoder" if name == "export" else f"export_{phase}",
        tags=[name],
    )
    return Pipeline([node])
