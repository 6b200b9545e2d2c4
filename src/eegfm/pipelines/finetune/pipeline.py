"""Finetune pipeline: encoder and windows with answers to finetuned encoders, metrics and predictions."""

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from eegfm.pipelines.finetune.nodes import finetune_encoder
from eegfm.training.phases import FINETUNE

_OF_CORPUS = ("signals", "windows", "recordings")
FIGURES = ("history", "comparison", "groups", "roc", "precision_recall", "confusion", "calibration", "scatter")
"""Entries of its figures."""


def create_pipeline(corpora: Sequence[str], start: str) -> Pipeline:
    """Finetune an encoder on the windows with answers of some corpora.

    Args:
        corpora: Names of the corpora.
        start: Catalog entry of the encoder.
    """
    node = Node(
        finetune_encoder,
        inputs={
            "start": start,
            "splits": "splits",
            "params": f"params:{FINETUNE}",
            "runs": f"{FINETUNE}.runs",
            "ledger": "test_ledger",
        }
        | {f"{corpus}__{what}": f"{corpus}.{what}" for corpus in corpora for what in _OF_CORPUS}
        | {f"{corpus}__cuts": f"params:{corpus}.window" for corpus in corpora},
        outputs={k: f"{FINETUNE}.{k}" for k in ("encoder", "metrics", "predictions", *FIGURES)},
        name="finetune_encoder",
        tags=[FINETUNE],
    )
    return Pipeline([node])
