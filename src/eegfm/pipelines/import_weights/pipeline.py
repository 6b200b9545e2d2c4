"""Import pipeline: file of published weights to checkpoint."""

from kedro.pipeline import Node, Pipeline

from eegfm.pipelines.import_weights.nodes import import_encoder


def create_pipeline(phase: str = "pretrain") -> Pipeline:
    """Import published weights in place of the training of a phase."""
    node = Node(
        import_encoder,
        inputs={"file": "import_weights.file", "params": "params:import", "encoder_file": f"{phase}.encoder_file"},
        outputs={"encoder": f"{phase}.encoder", "report": "import_weights.report"},
        name="import_encoder",
        tags=["import_weights"],
    )
    return Pipeline([node])
