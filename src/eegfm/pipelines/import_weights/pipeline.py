"""Import pipeline: file of published weights to checkpoint."""

from kedro.pipeline import Node, Pipeline

from eegfm.pipelines.import_weights.nodes import import_encoder


def create_pipeline() -> Pipeline:
    """Import published weights in place of pretraining."""
    node = Node(
        import_encoder,
        inputs={"file": "import_weights.file", "params": "params:import", "encoder_file": "pretrain.encoder_file"},
        outputs={"encoder": "pretrain.encoder", "report": "import_weights.report"},
        name="import_encoder",
        tags=["import_weights"],
    )
    return Pipeline([node])
