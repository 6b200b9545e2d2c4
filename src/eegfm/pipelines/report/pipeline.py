"""Report pipeline: tables, metrics and figures to one page."""

from collections.abc import Mapping, Sequence

from kedro.pipeline import Node, Pipeline

from eegfm.pipelines.report.nodes import compare_probes, write_report

OF_A_PROBE = ("metrics", "comparison", "label_efficiency")
"""Entries of a probe on the page."""

OF_A_FINETUNING = (
    *("comparison", "label_efficiency", "groups"),
    *("roc", "precision_recall", "confusion", "calibration", "scatter", "history"),
)
"""Figures of a finetuning, in their order on the page."""
PHASES = "phases"
"""Name of the comparison of phases, among catalog entries."""


def create_pipeline(
    corpora: list[str],
    *,
    probes: Mapping[str, str],
    phases: Sequence[str] = ("pretrain",),
    trained: bool = True,
    finetune: str = "",
) -> Pipeline:
    """Report on all corpora, the encoder's training or import and, where there are some, probes and a finetuning.

    A run leaves out entries about a training for an encoder that was imported, and the other way round.

    Args:
        corpora: Names of the corpora.
        probes: By phase, the name of its probe; empty for none.
        phases: Names of the phases.
        trained: Whether there is a corpus to train on.
        finetune: Name of the finetuning; empty for none.
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
    if trained:
        inputs |= {"mixture": "mixture"}
    for phase in phases:
        if trained:
            inputs |= {f"{phase}__{what}": f"{phase}.{what}" for what in ("metrics", "history", "reconstructions")}
        if probe := probes.get(phase):
            inputs |= {f"{probe}__{what}": f"{probe}.{what}" for what in OF_A_PROBE}
    if finetune:
        inputs |= {f"{finetune}__{what}": f"{finetune}.{what}" for what in ("metrics", *OF_A_FINETUNING)}
    compared = {phase: f"{probes[phase]}.metrics" for phase in phases if phase in probes}
    nodes = []
    if len(compared) > 1:
        outputs = {what: f"{PHASES}.{what}" for what in ("metrics", "comparison")}
        nodes.append(Node(compare_probes, inputs=compared, outputs=outputs, name="compare_phases", tags=["report"]))
        inputs |= {f"{PHASES}__{what}": entry for what, entry in outputs.items()}
    return Pipeline([*nodes, Node(write_report, inputs=inputs, outputs="report", name="write_report", tags=["report"])])
