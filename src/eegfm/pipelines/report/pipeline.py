"""Report pipeline: tables, metrics and figures to one page."""

from kedro.pipeline import Node, Pipeline

from eegfm.pipelines.report.nodes import write_report


def create_pipeline(corpora: list[str], *, probed: bool, pretrained: bool = True) -> Pipeline:
    """Report on all corpora, the encoder's training or import and, where there is one, the probe.

    A run leaves out entries about a training for an encoder that was imported, and the other way round.
    """
    inputs = {"params": "params:report", "splits": "splits", "import_weights__report": "import_weights.report"}
    about = (
        "recordings",
        "rejected",
        "windows",
        "window_counts",
        "ingest_summary",
        "montages",
        "unknown_channels",
        "spectrum",
    )
    inputs |= {f"{c}__{t}": f"{c}.{t}" for c in corpora for t in about}
    if pretrained:
        inputs |= {"mixture": "mixture"}
        inputs |= {f"pretrain__{what}": f"pretrain.{what}" for what in ("metrics", "history", "reconstructions")}
    if probed:
        inputs |= {f"probe__{what}": f"probe.{what}" for what in ("metrics", "comparison")}
    return Pipeline([Node(write_report, inputs=inputs, outputs="report", name="write_report", tags=["report"])])
