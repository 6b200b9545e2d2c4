"""Probe pipeline: frozen encoder to metrics and predictions."""

from kedro.pipeline import Node, Pipeline

from eegfm.pipelines.probe.nodes import probe_encoder


def create_pipeline(corpus: str, phase: str = "pretrain", name: str = "probe") -> Pipeline:
    """Probe the encoder of a phase on the labelled windows of one corpus.

    Args:
        corpus: Name of the corpus.
        phase: Name of the phase.
        name: Tag of the step, and first part of its catalog entries.
    """
    node = Node(
        probe_encoder,
        inputs=[
            f"{phase}.encoder",
            f"{corpus}.signals",
            f"{corpus}.windows",
            "splits",
            "params:probe",
        ],
        outputs={k: f"{name}.{k}" for k in ("metrics", "predictions", "comparison")},
        name="probe_encoder" if name == "probe" else f"probe_{phase}",
        tags=[name],
    )
    return Pipeline([node])
