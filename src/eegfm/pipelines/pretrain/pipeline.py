"""Pretrain pipeline: mixture to pretrained encoder."""

from kedro.pipeline import Node, Pipeline

from eegfm.pipelines.pretrain.nodes import pretrain_encoder


def create_pipeline(corpora: list[str]) -> Pipeline:
    """Pretrain on the mixture of the corpora."""
    node = Node(
        pretrain_encoder,
        inputs={
            "mixture": "mixture",
            "splits": "splits",
            "params": "params:pretrain",
            "runs": "pretrain.runs",
        }
        | {c: f"{c}.signals" for c in corpora},
        outputs={k: f"pretrain.{k}" for k in ("encoder", "metrics", "history", "reconstructions")},
        name="pretrain_encoder",
        tags=["pretrain"],
    )
    return Pipeline([node])
