"""Probe pipeline: frozen encoder to metrics and predictions."""

from kedro.pipeline import Node, Pipeline

from eegfm.pipelines.probe.nodes import probe_encoder


def create_pipeline(corpus: str) -> Pipeline:
    """Probe the pretrained encoder on the labelled windows of one corpus."""
    node = Node(
        probe_encoder,
        inputs=[
            "pretrain.encoder",
            f"{corpus}.signals",
            f"{corpus}.windows",
            "splits",
            "params:probe",
        ],
        outputs={k: f"probe.{k}" for k in ("metrics", "predictions", "comparison")},
        name="probe_encoder",
        tags=["probe"],
    )
    return Pipeline([node])
