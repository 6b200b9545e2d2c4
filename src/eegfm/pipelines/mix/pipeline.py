"""Mix pipeline: tables of the corpora to splits and mixture."""

from kedro.pipeline import Node, Pipeline

from eegfm.pipelines.mix.nodes import RECORDINGS, mix_corpora, split_corpora


def create_pipeline(corpora: list[str], pretrained: list[str]) -> Pipeline:
    """Split the persons of all corpora; mix the windows of those that are pretrained on, if there are any."""
    split = Node(
        split_corpora,
        inputs={"roles": "params:corpora", "params": "params:split"} | {c: f"{c}.recordings" for c in corpora},
        outputs="splits",
        name="split_persons",
        tags=["data"],
    )
    mix = Node(
        mix_corpora,
        inputs={"splits": "splits", "params": "params:mix", "signal": "params:signal"}
        | {c: f"{c}.windows" for c in pretrained}
        | {f"{RECORDINGS}{c}": f"{c}.recordings" for c in pretrained},
        outputs="mixture",
        name="mix_corpora",
        tags=["data"],
    )
    return Pipeline([split, mix] if pretrained else [split])
