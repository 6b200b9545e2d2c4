"""Export pipeline: encoder to files for other programs."""

from kedro.pipeline import Node, Pipeline

from eegfm.pipelines.export.nodes import export_encoder


def create_pipeline() -> Pipeline:
    """Export the stored encoder, pretrained or imported."""
    node = Node(
        export_encoder,
        inputs={"encoder": "pretrain.encoder", "params": "params:export", "folder": "pretrain.export_folder"},
        outputs={"folder": "pretrain.export", "report": "export.report"},
        name="export_encoder",
        tags=["export"],
    )
    return Pipeline([node])
