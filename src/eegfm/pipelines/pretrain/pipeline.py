"""Pretrain pipeline: mixture to pretrained encoder."""

from kedro.pipeline import Node, Pipeline

from eegfm.pipelines.pretrain.nodes import pretrain_encoder, refuse_pretraining


def create_pipeline(corpora: list[str]) -> Pipeline:
    """Pretrain on the mixture of the corpora. Without a corpus, the only step is an error."""
    if not corpora:
        return Pipeline(
            [Node(refuse_pretraining, "params:corpora", None, name="refuse_pretraining", tags=["pretrain"])]
        )
    node = Node(
        pretrain_encoder,
        inputs={
            "mixture": "mixture",
            "splits": "splits",
            "params": "params:pretrain",
            "runs": "pretrain.runs",
            "encoder_file": "pretrain.encoder_file",
        }
        | {c: f"{c}.signals" for c in corpora},
        outputs={k: f"pretrain.{k}" for k in ("encoder", "metrics", "history", "reconstructions")},
        name="pretrain_encoder",
        tags=["pretrain"],
    )
    return Pipeline([node])
