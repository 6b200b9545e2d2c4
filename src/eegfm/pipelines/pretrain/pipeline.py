"""Training pipeline: mixture to trained encoder, once for each phase."""

from functools import partial, update_wrapper

from kedro.pipeline import Node, Pipeline

from eegfm.pipelines.pretrain.nodes import refuse_pretraining, train_encoder
from eegfm.training.config import PretrainParams


def create_pipeline(
    corpora: list[str],
    phase: str = "pretrain",
    start: str = "",
    *,
    tokenizer: str = "",
    params: type[PretrainParams] = PretrainParams,
) -> Pipeline:
    """Train one phase on the mixture of the corpora. Without a corpus, the only step is an error.

    Args:
        corpora: Names of the corpora.
        phase: Name of the phase.
        start: Catalog entry of the weights that it starts from; empty for weights of a seed.
        tokenizer: Catalog entry of the tokenizer whose codes it predicts; empty for none.
        params: Model of its parameters.
    """
    if not corpora:
        return Pipeline([Node(refuse_pretraining, "params:corpora", None, name=f"refuse_{phase}", tags=[phase])])
    train = update_wrapper(partial(train_encoder, phase=phase), train_encoder)
    train.__annotations__ = {**train_encoder.__annotations__, "params": params}  # Kedro builds what stands there
    node = Node(
        train,
        inputs={
            "mixture": "mixture",
            "splits": "splits",
            "params": f"params:{phase}",
            "runs": f"{phase}.runs",
            "encoder_file": f"{phase}.encoder_file",
        }
        | ({"start": start} if start else {})
        | ({"tokenizer": tokenizer} if tokenizer else {})
        | {c: f"{c}.signals" for c in corpora},
        outputs={k: f"{phase}.{k}" for k in ("encoder", "metrics", "history", "reconstructions")},
        # Kedro sorts by name what could run at once: the probe of a phase before the training of the next one.
        name=f"train_{phase}",
        tags=[phase],
    )
    return Pipeline([node])
