"""Probe pipeline: frozen encoder to metrics and predictions."""

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from eegfm.pipelines.probe.nodes import probe_encoder


def create_pipeline(corpora: Sequence[str], phase: str = "pretrain", name: str = "probe") -> Pipeline:
    """Probe the encoder of a phase on the labelled windows of some corpora.

    Args:
        corpora: Names of the corpora.
        phase: Name of the phase.
        name: Tag of the step, and first part of its catalog entries.
    """
    node = Node(
        probe_encoder,
        inputs={"encoder": f"{phase}.encoder", "splits": "splits", "params": "params:probe", "ledger": "test_ledger"}
        | {f"{corpus}__{what}": f"{corpus}.{what}" for corpus in corpora for what in ("signals", "windows")},
        outputs={k: f"{name}.{k}" for k in ("metrics", "predictions", "comparison", "label_efficiency")},
        name="probe_encoder" if name == "probe" else f"probe_{phase}",
        tags=[name],
    )
    return Pipeline([node])
