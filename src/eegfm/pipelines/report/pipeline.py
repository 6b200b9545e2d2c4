"""Report pipeline: tables, metrics and figures to one page."""

from kedro.pipeline import Node, Pipeline

from eegfm.pipelines.report.nodes import write_report


def create_pipeline(corpora: list[str], *, probed: bool) -> Pipeline:
    """Report on all corpora, the pretraining and, where there is one, the probe."""
    inputs = {"params": "params:report", "splits": "splits", "mixture": "mixture"}
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
    inputs |= {f"pretrain__{what}": f"pretrain.{what}" for what in ("metrics", "history", "reconstructions")}
    if probed:
        inputs |= {f"probe__{what}": f"probe.{what}" for what in ("metrics", "comparison")}
    return Pipeline([Node(write_report, inputs=inputs, outputs="report", name="write_report", tags=["report"])])
